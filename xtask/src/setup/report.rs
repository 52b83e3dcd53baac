//! `cargo xtask setup --check`: one line for each thing, where it is or what to type.

use super::{
    Refused, choose, debian, described,
    linker::Linker,
    record::Record,
    sysroot::{self, NIGHTLY},
    test_tools, verified,
};
use crate::{process::shown, workspace};

pub(crate) struct Report {
    pub(crate) text: String,
    /// Whether the BPF programs can be built at once.
    pub(crate) complete: bool,
}

impl Report {
    pub(crate) fn of_this_machine() -> Self {
        let mut report = Self {
            text: String::new(),
            complete: true,
        };
        match choose() {
            Ok((compiler, linker)) => {
                report.found("compiler with library sources", &described(&compiler));
                report.linker(&linker);
                report.record();
            }
            Err(refused) => report.refused(&refused),
        }
        report.line("For `cargo xtask test` and `dist`, which install them:");
        for line in test_tools::lines() {
            report.line(&line);
        }
        report
    }

    fn linker(&mut self, linker: &Linker) {
        match linker {
            Linker::Ready(path) => self.found("bpf-linker", &path.display().to_string()),
            Linker::Buildable { .. } | Linker::Packaged { .. } => {
                self.missing("bpf-linker", &linker.commands().join(" && "));
            }
        }
    }

    fn record(&mut self) {
        let record = Record::read(&workspace::tools_dir());
        match record.as_ref().map(verified) {
            Some(Ok(_)) => self.found("record of the set-up", "up to date"),
            Some(Err(error)) => {
                self.missing(
                    &format!("valid record of the set-up ({error:#})"),
                    "cargo xtask setup",
                );
            }
            None => self.missing("record of the set-up", "cargo xtask setup"),
        }
    }

    fn refused(&mut self, refused: &Refused) {
        if refused.has_sources {
            self.missing("LLVM for bpf-linker", "see below, or cargo xtask setup");
        } else {
            self.missing("compiler with library sources", &ways_to_a_compiler());
        }
        for reason in &refused.reasons {
            self.line(&format!("         {reason}"));
        }
        // Which LLVM the linker is built on depends on the compiler, which is not there yet.
        self.missing("bpf-linker", "cargo xtask setup");
    }

    fn found(&mut self, thing: &str, place: &str) {
        self.line(&format!("found    {thing}: {place}"));
    }

    fn missing(&mut self, thing: &str, command: &str) {
        self.complete = false;
        self.line(&format!("missing  {thing}: {command}"));
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

fn ways_to_a_compiler() -> String {
    let rustup = sysroot::sources_command().map(|command| shown(&command));
    let packages = debian::compiler().map(|found| debian::install_line(&found.packages));
    let ways: Vec<_> = rustup.into_iter().chain(packages).collect();
    if ways.is_empty() {
        NIGHTLY.to_owned()
    } else {
        ways.join(" or ")
    }
}
