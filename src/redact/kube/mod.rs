//! Typed sanitising of Kubernetes objects.

mod certificates;
mod dom;
mod objects;
mod sanitise;

pub use objects::ObjectStream;
