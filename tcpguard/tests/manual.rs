//! What a package installs beside the program, as the tools read it that it is made for.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

const TCPGUARD: &str = env!("CARGO_BIN_EXE_tcpguard");
const COMMANDS: [&str; 18] = [
    "attach",
    "capture",
    "check-config",
    "completions",
    "conns",
    "detach",
    "events",
    "explain",
    "man",
    "metrics",
    "reload",
    "replay",
    "run",
    "stats",
    "status",
    "top",
    "trace",
    "upgrade",
];

fn tcpguard(args: &[&str]) -> Output {
    Command::new(TCPGUARD).args(args).output().unwrap()
}

fn stdout(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A directory of this test's own.
fn directory(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir(&directory).unwrap();
    directory
}

#[test]
fn every_command_has_a_page_that_names_its_options() {
    let directory = directory("pages");
    assert_eq!(
        stdout(tcpguard(&["man", "--dir", directory.to_str().unwrap()])),
        ""
    );
    let written = fs::read_dir(&directory).unwrap();
    let written: BTreeSet<_> = written.map(|it| it.unwrap().file_name()).collect();
    let expected = COMMANDS.map(|command| format!("tcpguard-{command}.1").into());
    let expected = expected.into_iter().chain(["tcpguard.1".into()]);
    assert_eq!(written, expected.collect());

    let run = fs::read_to_string(directory.join("tcpguard-run.1")).unwrap();
    assert_eq!(run, stdout(tcpguard(&["man", "run"])));
    for wanted in [".TH tcpguard-run 1", "\\-\\-max\\-conns", ".nf\nExamples:"] {
        assert!(run.contains(wanted), "no {wanted:?} in {run}");
    }
    let main = stdout(tcpguard(&["man"]));
    assert!(main.contains("tcpguard\\-conns(1)"), "{main}");
}

#[test]
fn what_cannot_be_written_says_where_and_an_unknown_page_which_there_are() {
    let missing = tcpguard(&["man", "--dir", "/nonexistent/man1"]);
    let said = String::from_utf8(missing.stderr).unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(said.contains("/nonexistent/man1"), "{said}");

    let unknown = tcpguard(&["man", "rum"]);
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(said.contains("\"rum\"") && said.contains("run"), "{said}");
}

#[test]
fn bash_completes_commands_and_options_by_the_script() {
    let script = stdout(tcpguard(&["completions", "bash"]));
    let complete = |line: &[&str]| -> Vec<String> {
        let words = line.join(" ");
        let last = line.len() - 1;
        let mut bash = Command::new("bash")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let ask = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD={last}; \
             _tcpguard tcpguard '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
            line[last],
            line[last - 1],
        );
        let mut stdin = bash.stdin.take().unwrap();
        stdin.write_all(ask.as_bytes()).unwrap();
        drop(stdin);
        let told = stdout(bash.wait_with_output().unwrap());
        told.lines().map(str::to_owned).collect()
    };
    assert_eq!(complete(&["tcpguard", "conn"]), ["conns"]);
    assert_eq!(complete(&["tcpguard", "run", "--max"]), ["--max-conns"]);
    assert_eq!(complete(&["tcpguard", "run", "--mode", "nat"]), ["native"]);
}

#[test]
fn every_shell_has_its_script() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = stdout(tcpguard(&["completions", shell]));
        let missing = COMMANDS.iter().find(|command| !script.contains(**command));
        assert_eq!(missing, None, "{shell}");
    }
}
