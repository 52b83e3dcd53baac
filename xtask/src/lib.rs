//! What the tasks of this workspace share with its live tests: a network of one's own.

pub mod lab;
