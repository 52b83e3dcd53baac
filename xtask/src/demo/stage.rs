//! The guard of the demo, in one of the forms that it can be watched in.

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::Value;
use xtask::lab::{guard::Guard, namespace::Namespace, network::UPLINK};

use super::screen::Screen;

/// How the guard is to be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Not at all: there is none.
    Unguarded,
    /// By its live table on the terminal.
    Table,
    /// By a line that the demo prints from time to time.
    Lines,
}

/// A guard that runs, or none.
pub(super) enum Stage<'a> {
    Unguarded,
    Table(Screen<'a>),
    Lines(Guard),
}

impl<'a> Stage<'a> {
    pub(super) fn start(form: Form, namespace: &'a Namespace, guard: &Path) -> Result<Self> {
        Ok(match form {
            Form::Unguarded => Self::Unguarded,
            Form::Table => Self::Table(Screen::start(namespace, guard)?),
            Form::Lines => Self::Lines(Guard::start(
                namespace,
                guard,
                UPLINK,
                ["--interval", "200ms"],
            )?),
        })
    }

    /// Whether what should guard does.
    pub(super) fn stands(&mut self) -> bool {
        match self {
            Self::Unguarded => true,
            Self::Table(screen) => screen.is_running(),
            Self::Lines(guard) => guard.is_running(),
        }
    }

    /// What the guard has counted until now, if it says so.
    pub(super) fn reading(&self) -> Option<Value> {
        match self {
            Self::Unguarded | Self::Table(_) => None,
            Self::Lines(guard) => Some(guard.reading()),
        }
    }

    /// Ends the guard, which says its last counts then.
    pub(super) fn stop(self) -> Result<Option<Value>> {
        match self {
            Self::Unguarded => Ok(None),
            Self::Table(screen) => screen.stop().map(Some),
            Self::Lines(guard) => {
                let (status, reading) = guard.stop()?;
                ensure!(status.success(), "tcpguard did not end well ({status})");
                Ok(Some(reading))
            }
        }
    }
}
