//! What a worker is given, and why it stops.

use super::Front;
use super::auth::User;
use super::compression::{Coding, TooLarge};
use super::error::{Code, Failure};
use super::reply::Gone;
use super::request::Request;
use super::ticket::Ticket;
use crate::engine::ffi::Exception;
use std::io;
use std::sync::Arc;

/// Everything that a worker needs of its request.
pub(super) struct Job {
    pub front: Arc<Front>,
    pub user: User,
    pub request: Request,
    /// The request's random id: its `log_comment`, and the tag of its exception block.
    pub id: String,
    pub body_coding: Coding,
    pub answer_coding: Coding,
    /// Set when the body is a form.
    pub boundary: Option<String>,
    /// The turn is one for ending statements, and for nothing else.
    pub only_kills: bool,
    pub ticket: Ticket,
}

/// Why a worker stops early.
pub(super) enum Stop {
    Failed(Failure),
    /// Nobody reads the answer.
    Gone,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Exception> for Stop {
    fn from(exception: Exception) -> Self {
        Self::Failed(exception.into())
    }
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        let failure = match error.get_ref() {
            Some(inner) if inner.is::<TooLarge>() => Code::TooLarge.failure(error),
            _ if error.kind() == io::ErrorKind::UnexpectedEof => {
                Code::CannotRead.failure(format!("the body ended early: {error}"))
            }
            _ => Code::CannotDecompress.failure(format!("the body cannot be read: {error}")),
        };
        Self::Failed(failure)
    }
}
