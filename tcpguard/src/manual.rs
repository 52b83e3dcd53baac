//! `tcpguard man` and `tcpguard completions`: what a package installs beside the program, made of the
//! command line's own definition.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use clap::{Command, CommandFactory as _, builder::Resettable};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use crate::cli::{Cli, CompletionsArgs, ManArgs};

/// Prints the completions for a shell.
pub fn completions(args: &CompletionsArgs) -> Result<ExitCode> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    // Not to stdout at once: clap_complete panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a page of the manual, or writes all of them.
pub fn man(args: &ManArgs) -> Result<ExitCode> {
    match &args.dir {
        Some(dir) => write(dir)?,
        None => print(args.page.as_deref())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn write(dir: &Path) -> Result<()> {
    let program = program();
    for command in program.get_subcommands().chain([&program]) {
        let page = Page::of(command);
        let path = dir.join(page.page.get_filename());
        fs::write(&path, page.text()?)
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}

/// The page of the program, or of the command with this name.
fn print(name: Option<&str>) -> Result<()> {
    let program = program();
    let command = match name {
        None => Some(&program),
        Some(name) => program.find_subcommand(name),
    };
    let Some(command) = command else {
        let known: Vec<_> = program.get_subcommands().map(Command::get_name).collect();
        bail!(
            "no manual page of {:?}; there are those of {}",
            name.unwrap_or_default(),
            known.join(", ")
        );
    };
    io::stdout().write_all(&Page::of(command).text()?)?;
    Ok(())
}

/// The command line with all names filled in, but without `help`: pages of the manual take its place.
fn program() -> Command {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    program
}

/// A page of the manual.
struct Page {
    page: Man,
    /// What stands below the help. Its lines are broken by hand, and clap's page would fill them.
    notes: Option<String>,
}

impl Page {
    fn of(command: &Command) -> Self {
        let notes = command.get_after_help().map(ToString::to_string);
        let command = command.clone().after_help(Resettable::Reset);
        let page = Man::new(command)
            .source(concat!("tcpguard ", env!("CARGO_PKG_VERSION")))
            .manual("tcpguard manual");
        Self { page, notes }
    }

    fn text(&self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        self.page.render(&mut text)?;
        if let Some(notes) = &self.notes {
            let mut roff = Roff::new();
            roff.control("SH", ["NOTES"]).control("nf", []);
            for line in notes.lines() {
                roff.text([roman(line)]);
            }
            roff.control("fi", []);
            roff.to_writer(&mut text)?;
        }
        Ok(text)
    }
}
