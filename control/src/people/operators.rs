//! Operators of the platform: what is of no single organisation is theirs.
//!
//! Guarantee: nobody becomes one by the API. Who holds the control store's own credentials makes one, and it is in the audit of the tenant
//! that is always there.

use serde_json::json;

use super::{Person, by_email, read};
use crate::{
    audit::{Action, Change, Outcome, Subject},
    db::Value,
    error::Error,
    open::Operator,
    sql::SystemSql,
    tenant::Caller,
};

pub(super) const SET: SystemSql = SystemSql(
    "UPDATE users SET platform = $2, updated_at = $3, version = version + 1 WHERE user_id = $1 \
     RETURNING user_id, email, name, platform, verified_at, totp, disabled_at, created_at, version",
);
pub(super) const LIST: SystemSql = SystemSql(
    "SELECT user_id, email, name, platform, verified_at, totp, disabled_at, created_at, version FROM users \
     WHERE platform = 1 ORDER BY user_id LIMIT $1",
);

impl Operator {
    /// Makes a person an operator of the platform, or makes it none any more. It holds within 5 s.
    ///
    /// # Errors
    /// There is no account of this address, or as of every change.
    pub async fn set_platform(&self, email: &str, platform: bool) -> Result<Person, Error> {
        let (control, home) = (self.control(), self.at_home());
        let mut change = Change::begin(&control.db, &control.pepper, Caller::here(&home)).await?;
        let done = async {
            let email = email.trim().to_ascii_lowercase();
            let before = by_email(change.tx(), &email).await?.ok_or(Error::NotFound)?;
            let values = [Value::from(&before.id), i64::from(platform).into(), change.at().0.into()];
            let rows = change.system(SET, &values).await?;
            let after = read(rows.first().ok_or(Error::NotFound)?)?;
            let subject = Subject { kind: "user", id: after.id.to_string(), name: Some(after.email.clone()) };
            let (was, is) = (json!({"platform": before.platform}), json!({"platform": after.platform}));
            change.audit(Action::PersonOperator, &subject, Some(was), Some(is), Outcome::Done).await?;
            Ok(after)
        };
        let done = done.await;
        change.end(done).await
    }

    /// The operators of the platform, by age.
    ///
    /// # Errors
    /// The store is away.
    pub async fn operators(&self) -> Result<Vec<Person>, Error> {
        let mut tx = self.control().db.system(false).await?;
        let rows = tx.system(LIST, &[Value::from(schemas::limits::accounts::OPERATORS)]).await;
        tx.end(rows).await?.iter().map(read).collect()
    }
}
