//! Exit codes, and the one place where an error becomes words on standard error.

use std::{fmt, process::ExitCode};

use runtime::lifecycle::{BoxError, Outcome};

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or stopped on request.
    Done = 0,
    /// Anything else.
    Failed = 1,
    /// Bad arguments.
    Arguments = 2,
    /// Bad configuration (`EX_CONFIG` of sysexits.h).
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// An error on its way out.
#[derive(Debug)]
pub struct Failure {
    /// The exit code that it deserves.
    pub exit: Exit,
    /// What happened.
    pub error: BoxError,
}

impl Failure {
    /// A failure with exit code 1.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self { exit: Exit::Failed, error: error.into() }
    }

    /// A failure with exit code 2.
    pub fn arguments(error: impl Into<BoxError>) -> Self {
        Self { exit: Exit::Arguments, error: error.into() }
    }

    /// A failure with exit code 78.
    pub fn config(error: impl Into<BoxError>) -> Self {
        Self { exit: Exit::Config, error: error.into() }
    }

    /// From how a service ended.
    pub fn check(outcome: Outcome) -> Result<(), Self> {
        match outcome {
            Outcome::Done => Ok(()),
            Outcome::Failed { task, error } => Err(Self::new(format!("{task}: {}", Chain(&*error)))),
            Outcome::Forced { unfinished } => {
                tracing::warn!(
                    ?unfinished,
                    "stopped before these had ended; what was not committed is done again at the next start"
                );
                Ok(())
            }
        }
    }
}

impl<E: Into<BoxError>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error: BoxError = error.into();
        let exit = if error.is::<runtime::config::ConfigError>() { Exit::Config } else { Exit::Failed };
        Self { exit, error }
    }
}

/// An error with its causes, in one line.
struct Chain<'a>(&'a (dyn std::error::Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut last = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(e) = cause {
            let words = e.to_string();
            if !last.contains(&words) {
                write!(f, ": {words}")?;
            }
            last = words;
            cause = e.source();
        }
        Ok(())
    }
}

/// Says on standard error what went wrong.
pub fn report(failure: &Failure) {
    eprintln!("headwater: {}", Chain(&*failure.error));
}
