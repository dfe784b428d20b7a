//! The one body that is read while it comes: the document of an import, as lines of JSON.
//!
//! Guarantee: no more than a piece and a line of its text is held, and what it defines within the bounds of [`ImportReader`]. It is bounded by
//! [`limits::IMPORT_BYTES`], and by how long its next piece is waited for; all of it is taken before it is answered, so that the answer is
//! heard.

use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, header},
};
use control::{Bounds, ImportReader, ToImport};
use futures::StreamExt;
use schemas::limits::control as limits;
use tokio::time::timeout;

use crate::error::ApiError;

/// The media type of lines of JSON.
pub const LINES: &str = "application/x-ndjson";
/// Where a document may come like that.
const IMPORT: &str = "/api/v1/organisations/import";

/// Whether a request's body is read while it comes.
pub fn is_streamed(method: &Method, path: &str, headers: &HeaderMap) -> bool {
    *method == Method::POST && path == IMPORT && essence(headers) == LINES
}

/// The media type that a request says its body to be, without parameters, in small letters; empty where it says none.
pub fn essence(headers: &HeaderMap) -> String {
    let given = headers.get(header::CONTENT_TYPE).map(|v| v.to_str().unwrap_or_default());
    given.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// All that the document of a request defines.
///
/// # Errors
/// It has mistakes, is too large, or its next piece does not come.
pub async fn document(request: Request<Body>, bounds: &Bounds) -> Result<ToImport, ApiError> {
    let refused = |error| ApiError::of_control(error, "organisation");
    let (mut reader, mut pieces) = (ImportReader::new(bounds), request.into_body().into_data_stream());
    let mut wanted = true;
    let late = |_| ApiError::Deadline { seconds: limits::IMPORT_STALL.as_secs() };
    while let Some(piece) = timeout(limits::IMPORT_STALL, pieces.next()).await.map_err(late)? {
        // Who cut it off hears no answer.
        let piece = piece.map_err(|_| ApiError::BodyTooLarge { limit: limits::IMPORT_BYTES })?;
        if wanted {
            wanted = reader.take(&piece).await.map_err(refused)?;
        }
    }
    reader.end().await.map_err(refused)
}
