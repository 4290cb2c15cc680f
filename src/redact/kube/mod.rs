//! Typed sanitising of Kubernetes objects.

mod certificates;
mod dom;
mod helm;
mod objects;
mod sanitise;

pub use objects::ObjectStream;
