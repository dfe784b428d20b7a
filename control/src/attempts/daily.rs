//! What one address may have done in a day, whoever does it there.
//!
//! Guarantee: it is counted in the transaction of what is done, by a row that is held until its end: as many are let through as the limit says,
//! however many come at once, in all processes together, and what comes to nothing is not counted. The day of an address begins with the first
//! that is counted, and the next with the first after it. Addresses are kept as keyed hashes.

use std::{net::IpAddr, time::Duration};

use schemas::{TimeMs, limits::accounts as limits};

use super::{COUNT, network, subject, take};
use crate::{
    db::{Tx, Value},
    error::Error,
    open::Control,
    secret::Pepper,
};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Daily {
    /// An organisation is founded.
    Founding,
    /// A letter is asked for that makes an account.
    SignUp,
}

impl Daily {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Founding => "founding",
            Self::SignUp => "sign-up",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Founding => "organisations",
            Self::SignUp => "sign-ups",
        }
    }

    const fn limit(self) -> (i64, Duration) {
        match self {
            Self::Founding => limits::FOUNDED_OF_ADDRESS,
            Self::SignUp => limits::SIGN_UPS_OF_ADDRESS,
        }
    }

    /// Counts one, in the transaction of what is done. What comes from no address (the command line) is not counted.
    ///
    /// # Errors
    /// [`Error::TooOften`]; the store is away.
    pub(crate) async fn count(
        self,
        tx: &mut Tx,
        pepper: &Pepper,
        ip: Option<IpAddr>,
        now: TimeMs,
    ) -> Result<(), Error> {
        let Some(ip) = ip else { return Ok(()) };
        let subject = subject(pepper, self.as_str(), &network(ip).to_string());
        // Here `failures` are those that were let through, and `last_at` is when their day began.
        let known = take(tx, self.as_str(), &subject).await?;
        let (most, per) = self.limit();
        let per = per.as_millis() as i64;
        let (done, begun) = match known {
            (_, begun) if now.0.saturating_sub(begun) >= per => (0, now.0),
            known => known,
        };
        if done >= most {
            let left = (begun + per - now.0).max(1) as u64;
            return Err(Error::TooOften { what: self.words(), most, wait: Duration::from_millis(left) });
        }
        let values = [Value::from(self.as_str()), subject.into(), (done + 1).into(), begun.into()];
        tx.system(COUNT, &values).await.map(drop)
    }
}

impl Control {
    /// Counts somebody who asks for a letter that makes an account. It is the same whether or not there is an account of the address.
    ///
    /// # Errors
    /// Too many came from there ([`Error::TooOften`]); the store is away.
    pub async fn count_sign_up(&self, ip: Option<IpAddr>) -> Result<(), Error> {
        let mut tx = self.db.system(true).await?;
        let done = Daily::SignUp.count(&mut tx, &self.pepper, ip, TimeMs::now()).await;
        tx.end(done).await
    }
}
