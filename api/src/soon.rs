//! What an answer has where the store says it in time, and is given without where it does not.

use std::time::Duration;

use tokio::time::timeout;

use crate::error::ApiError;

/// How long an answer waits.
const PATIENCE: Duration = Duration::from_secs(1);

/// What comes of it; `None` where it does not come in time, or is refused.
pub async fn soon<T>(what: impl Future<Output = Result<T, ApiError>>) -> Option<T> {
    timeout(PATIENCE, what).await.ok().and_then(Result::ok)
}
