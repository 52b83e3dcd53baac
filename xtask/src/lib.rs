//! What the tasks of this workspace share with its tests: a network of one's own, the package, and
//! how programs are started.

pub mod lab;
pub mod package;
pub mod process;
