//! Refresh tokens: `hwr_SESSION.NUMBER.MAC`.
//!
//! Guarantee: each is good once. The one before the present one is given the present one again for ten seconds after the change: two tabs that
//! refresh at once, or an answer that was lost. Anything older has been used before, by whoever has it or by whoever stole it, and ends the
//! session. Nothing of a token is kept but which number is next.

use runtime::config::Secret;
use schemas::{TimeMs, limits::accounts as limits};

use super::{Begun, away, end::END};
use crate::{
    db::{Tx, Value},
    error::{Denied, Error},
    id::Id,
    open::Control,
    secret::{self, Which},
    sql::SystemSql,
};

const WORD: &str = "hwr_";

/// Takes the row, and holds it.
pub(super) const HOLD: SystemSql = SystemSql(
    "UPDATE sessions SET counter = counter WHERE session_id = $1 AND revoked_at IS NULL RETURNING counter, rotated_at",
);
pub(super) const ROTATE: SystemSql =
    SystemSql("UPDATE sessions SET counter = $2, rotated_at = $3 WHERE session_id = $1");

/// What became of a token.
enum Turned {
    /// The number of the one that is good now.
    Good(i64),
    /// It was used before.
    Reused,
    /// There is no such session any more.
    Gone,
}

impl Control {
    pub(super) fn refresh_token(&self, id: &Id, number: i64) -> Secret {
        Secret::new(format!("{WORD}{id}.{number}.{}", self.refresh_mac(Which::Present, id, number)))
    }

    fn refresh_mac(&self, which: Which, id: &Id, number: i64) -> String {
        let parts = [&b"refresh"[..], id.as_str().as_bytes(), &number.to_be_bytes()];
        const_hex::encode(self.pepper.of_session(which, parts))
    }

    /// Goes on with a session by its refresh token, which is good no more.
    ///
    /// # Errors
    /// Why not; one that was used before ends its session.
    pub async fn refresh_person(&self, token: &str) -> Result<Begun, Denied> {
        let (id, number, mac) = parts(token).ok_or(Denied::Malformed)?;
        if !self.pepper.good().any(|which| secret::same_text(mac, &self.refresh_mac(which, &id, number))) {
            return Err(Denied::Unknown);
        }
        let (who, seen) = self.resume(id).await?;
        let now = TimeMs::now();
        let turned = async {
            let mut tx = self.db.system(true).await?;
            let done = turn(&mut tx, &id, number, now).await;
            tx.end(done).await
        };
        match turned.await.map_err(away)? {
            Turned::Good(counter) => Ok(self.begun(who, id, counter, seen.ends())),
            Turned::Gone => Err(Denied::Revoked),
            Turned::Reused => {
                self.people.forget(&id);
                tracing::warn!(session = %id, "a refresh token came a second time: its session is ended");
                Err(Denied::Revoked)
            }
        }
    }
}

async fn turn(tx: &mut Tx, id: &Id, number: i64, now: TimeMs) -> Result<Turned, Error> {
    let rows = tx.system(HOLD, &[Value::from(id)]).await?;
    let Some(row) = rows.first() else { return Ok(Turned::Gone) };
    let (counter, rotated_at) = (row.int("counter")?, row.int("rotated_at")?);
    let young = now.0 - rotated_at <= limits::REFRESH_GRACE.as_millis() as i64;
    if number == counter {
        tx.system(ROTATE, &[Value::from(id), (counter + 1).into(), now.0.into()]).await?;
        return Ok(Turned::Good(counter + 1));
    }
    if number == counter - 1 && young {
        return Ok(Turned::Good(counter));
    }
    tx.system(END, &[Value::from(id), now.0.into()]).await?;
    Ok(Turned::Reused)
}

/// Session, number and MAC of what has the form of a refresh token.
fn parts(token: &str) -> Option<(Id, i64, &str)> {
    let mut parts = token.strip_prefix(WORD)?.split('.');
    let (id, number, mac) = (parts.next()?, parts.next()?, parts.next()?);
    let read: i64 = number.parse().ok()?;
    let good = parts.next().is_none() && mac.len() == 64 && read > 0 && read.to_string() == number;
    good.then_some((id.parse().ok()?, read, mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_the_form_is_looked_at() {
        let (id, mac) = ("01J0000000000000000000000S", "a".repeat(64));
        assert!(parts(&format!("hwr_{id}.1.{mac}")).is_some());
        for wrong in [
            String::new(),
            "hwr_...".to_owned(),
            format!("hw_{id}.1.{mac}"),
            format!("hwr_{id}.0.{mac}"),
            format!("hwr_{id}.-1.{mac}"),
            format!("hwr_{id}.+1.{mac}"),
            format!("hwr_{id}.01.{mac}"),
            format!("hwr_{id}.1.{mac}.{mac}"),
            format!("hwr_{id}.1.{}", &mac[1..]),
            format!("hwr_{}.1.{mac}", &id[1..]),
            format!("hwr_{id}.{}.{mac}", "9".repeat(30)),
        ] {
            assert!(parts(&wrong).is_none(), "{wrong}");
        }
    }
}
