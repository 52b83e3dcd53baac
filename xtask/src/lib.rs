//! What the tasks of this workspace share with its tests: a network of one's own, and the package.

pub mod lab;
pub mod package;
