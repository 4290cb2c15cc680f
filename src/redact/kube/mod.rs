//! Typed sanitising of Kubernetes objects.

mod certificates;
mod dom;
mod helm;
mod look;
mod objects;
mod pass;
mod sanitise;

pub use objects::ObjectStream;
