//! The object on the oldest kernel that it is made for.

use std::process::Command;

/// That of Debian 12.
const OLDEST: &str = "6.1";

#[test]
fn the_object_loads_and_judges_on_the_oldest_kernel() {
    let mut test = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let status = test.args(["test", "--kernel", OLDEST]).status().unwrap();
    assert!(status.success(), "{status}");
}
