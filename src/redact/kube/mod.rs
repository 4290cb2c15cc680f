//! Typed sanitising of Kubernetes objects.

mod certificates;
mod dom;
mod look;
mod objects;
mod sanitise;

pub use objects::ObjectStream;
