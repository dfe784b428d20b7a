//! Files of recorded blocks.

use super::error::Error;
use schemas::limits::simulator::RECORDED_FILE_BYTES;
use std::io::Read as _;
use std::path::Path;

/// A recorded file, as far as it is not too large.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let file = |source| Error::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(file)?.take(RECORDED_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(file)?;
    if bytes.len() as u64 > RECORDED_FILE_BYTES {
        return Err(file(std::io::Error::other(format!("larger than {RECORDED_FILE_BYTES} bytes"))));
    }
    Ok(bytes)
}
