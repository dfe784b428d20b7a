//! Attempts to log in that failed, of an account and of an address.
//!
//! Guarantee: an attempt is counted before its password is looked at, in one transaction that holds both rows, so that a thousand guesses at
//! once are a thousand attempts. After those that are free each further one has to wait, twice as long each time, up to a bound: whoever
//! guesses is slowed for good, and nobody is locked out for good. An account that is not there is counted as one that is, and its name is kept
//! as a keyed hash. Success forgets the account's failures, and none of the address's.

mod daily;

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

pub(crate) use daily::Daily;
use schemas::{TimeMs, limits::accounts as limits};

use crate::{
    db::{Tx, Value},
    error::Error,
    open::Control,
    secret::Pepper,
    sql::SystemSql,
};

/// Takes the row, which is made where there is none, and holds it.
const TAKE: SystemSql = SystemSql(
    "INSERT INTO sign_in_attempts (kind, subject, failures, last_at) VALUES ($1, $2, 0, 0) \
     ON CONFLICT (kind, subject) DO UPDATE SET failures = sign_in_attempts.failures RETURNING failures, last_at",
);
const COUNT: SystemSql =
    SystemSql("UPDATE sign_in_attempts SET failures = $3, last_at = $4 WHERE kind = $1 AND subject = $2");
const FORGET: SystemSql = SystemSql("DELETE FROM sign_in_attempts WHERE kind = $1 AND subject = $2");
/// Whoever has an account of his own wins no attempt by that.
const ONE_LESS: SystemSql =
    SystemSql("UPDATE sign_in_attempts SET failures = failures - 1 WHERE kind = $1 AND subject = $2 AND failures > 0");
const SWEEP: SystemSql = SystemSql(
    "DELETE FROM sign_in_attempts WHERE last_at < $1 AND subject IN \
     (SELECT subject FROM sign_in_attempts WHERE last_at < $1 ORDER BY last_at LIMIT $2)",
);

pub(crate) const SYSTEM_STATEMENTS: &[(&str, SystemSql)] = &[
    ("attempts: count", COUNT),
    ("attempts: forget", FORGET),
    ("attempts: one less", ONE_LESS),
    ("attempts: sweep", SWEEP),
];

/// What is attempted, and the most that one waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Account,
    Address,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Address => "address",
        }
    }

    /// How long after the last of so many failures the next may come.
    fn wait(self, failures: i64) -> Duration {
        let (free, most) = match self {
            Self::Account => (limits::ATTEMPTS_FREE.0, limits::ATTEMPT_WAIT_ACCOUNT),
            Self::Address => (limits::ATTEMPTS_FREE.1, limits::ATTEMPT_WAIT_ADDRESS),
        };
        match failures - free {
            over if over < 0 => Duration::ZERO,
            // More than the longest wait after 20 doublings, whatever that is.
            over => (limits::ATTEMPT_WAIT * (1u32 << over.min(20))).min(most),
        }
    }
}

impl Control {
    /// Counts an attempt to log in to the account of this e-mail address, which is taken for a failure until [`Control::attempt_succeeded`].
    ///
    /// # Errors
    /// [`Error::Wait`]: it comes too early, and was not counted.
    pub(crate) async fn attempt(&self, email: &str, ip: Option<IpAddr>, now: TimeMs) -> Result<(), Error> {
        let subjects = self.attempt_subjects(email, ip);
        let mut tx = self.db.system(true).await?;
        let done = count(&mut tx, &subjects, now).await;
        match done {
            // The rows that were taken may stay as they were.
            Ok(Err(wait)) => tx.end(Err(Error::Wait(wait))).await,
            Ok(Ok(())) => {
                tx.end(Ok(())).await?;
                self.sweep_attempts(now).await;
                Ok(())
            }
            Err(e) => tx.end(Err(e)).await,
        }
    }

    /// Now and then, in a transaction of its own: it waits for rows that others hold.
    async fn sweep_attempts(&self, now: TimeMs) {
        if fastrand::u8(..) > 16 {
            return;
        }
        let old = now.0 - limits::ATTEMPTS_KEPT.as_millis() as i64;
        let sweep = async {
            let mut tx = self.db.system(true).await?;
            let done = tx.system(SWEEP, &[Value::from(old), limits::ATTEMPTS_SWEPT.into()]).await;
            tx.end(done).await
        };
        if let Err(error) = sweep.await {
            tracing::debug!(%error, "old attempts to log in were not swept away");
        }
    }

    /// Forgets the failures of the account, and that this attempt was taken for one of the address. Where that fails they fade.
    pub(crate) async fn attempt_succeeded(&self, email: &str, ip: Option<IpAddr>) {
        let subjects = self.attempt_subjects(email, ip);
        let forget = async {
            let mut tx = self.db.system(true).await?;
            let done = forget(&mut tx, &subjects).await;
            tx.end(done).await
        };
        if let Err(error) = forget.await {
            tracing::debug!(%error, "attempts to log in were not forgotten");
        }
    }

    fn attempt_subjects(&self, email: &str, ip: Option<IpAddr>) -> Vec<(Kind, String)> {
        let of = |kind: Kind, text: &str| (kind, subject(&self.pepper, kind.as_str(), text));
        let account = of(Kind::Account, &email.to_lowercase());
        let address = ip.map(|ip| of(Kind::Address, &network(ip).to_string()));
        std::iter::once(account).chain(address).collect()
    }
}

/// Of whom something is counted, as it is kept: a keyed hash.
fn subject(pepper: &Pepper, kind: &str, text: &str) -> String {
    let hash = pepper.of_kept([&b"attempt"[..], kind.as_bytes(), text.as_bytes()]);
    const_hex::encode(&hash[..16])
}

/// Its `failures` and `last_at`, held until the end of the transaction.
async fn take(tx: &mut Tx, kind: &str, subject: &str) -> Result<(i64, i64), Error> {
    let rows = tx.system(TAKE, &[Value::from(kind), subject.into()]).await?;
    let row = rows.first().ok_or_else(|| Error::Database("an attempt was not written".to_owned()))?;
    Ok((row.int("failures")?, row.int("last_at")?))
}

async fn forget(tx: &mut Tx, subjects: &[(Kind, String)]) -> Result<(), Error> {
    for (kind, subject) in subjects {
        let sql = match kind {
            Kind::Account => FORGET,
            Kind::Address => ONE_LESS,
        };
        tx.system(sql, &[Value::from(kind.as_str()), subject.into()]).await?;
    }
    Ok(())
}

/// An IPv6 caller is its /64, which is what one customer has.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from(u128::from(ip) & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

/// Counts it for all, or says how long it has to wait.
async fn count(tx: &mut Tx, subjects: &[(Kind, String)], now: TimeMs) -> Result<Result<(), Duration>, Error> {
    let mut counted = Vec::with_capacity(subjects.len());
    let mut wait = Duration::ZERO;
    // Always the account before the address, so that no two wait for each other.
    for (kind, subject) in subjects {
        let (failures, last) = take(tx, kind.as_str(), subject).await?;
        let age = now.0.saturating_sub(last).max(0);
        let failures = if age > limits::ATTEMPTS_KEPT.as_millis() as i64 { 0 } else { failures };
        let left = kind.wait(failures).as_millis() as i64 - age;
        wait = wait.max(Duration::from_millis(left.max(0) as u64));
        counted.push((*kind, subject, failures + 1));
    }
    if !wait.is_zero() {
        return Ok(Err(wait));
    }
    for (kind, subject, failures) in counted {
        let values = [Value::from(kind.as_str()), subject.into(), failures.into(), now.0.into()];
        tx.system(COUNT, &values).await?;
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_further_attempt_waits_longer_and_never_for_good() {
        let waits: Vec<u64> = (0..14).map(|n| Kind::Account.wait(n).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(Kind::Account.wait(i64::MAX), limits::ATTEMPT_WAIT_ACCOUNT);
        assert_eq!(Kind::Address.wait(19), Duration::ZERO);
        assert_eq!(Kind::Address.wait(1_000), limits::ATTEMPT_WAIT_ADDRESS);
    }

    #[test]
    fn an_address_is_what_one_customer_has() {
        let of = |text: &str| network(text.parse().expect("address")).to_string();
        assert_eq!(
            (of("2001:db8::1"), of("::ffff:10.0.0.1"), of("10.0.0.1")),
            ("2001:db8::".into(), "10.0.0.1".into(), "10.0.0.1".into())
        );
    }
}
