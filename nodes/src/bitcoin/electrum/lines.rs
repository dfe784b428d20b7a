//! Lines of a connection.
//!
//! Guarantee: a line is given whole or not at all, and one that is longer than it may be ends the reading; no more is ever held than one
//! line. Waiting for the next one may be given up at any moment without losing a byte.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// What the room for lines shrinks to after a long one, bytes.
const ROOM: usize = 64 << 10;

/// Why there is no further line.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    /// The other side has closed.
    #[error("the server closed the connection")]
    Closed,
    /// … amid a line.
    #[error("the server closed the connection after {0} bytes of a line")]
    Broken(usize),
    /// The line is too long.
    #[error("a line is longer than {0} bytes")]
    TooLong(usize),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
}

/// See the module.
pub(super) struct Lines<R> {
    read: BufReader<R>,
    line: Vec<u8>,
    whole: bool,
    most: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most so many bytes.
    pub fn new(read: R, most: usize) -> Self {
        Self { read: BufReader::with_capacity(16 << 10, read), line: Vec::new(), whole: false, most }
    }

    /// The next line, without its end.
    pub async fn next(&mut self) -> Result<&[u8], LineError> {
        if std::mem::take(&mut self.whole) {
            self.line.clear();
            self.line.shrink_to(ROOM);
        }
        while !self.whole {
            let come = self.read.fill_buf().await?;
            if come.is_empty() {
                return Err(if self.line.is_empty() { LineError::Closed } else { LineError::Broken(self.line.len()) });
            }
            let end = come.iter().position(|byte| *byte == b'\n');
            let piece = come.get(..end.unwrap_or(come.len())).unwrap_or_default();
            if self.line.len() + piece.len() > self.most {
                return Err(LineError::TooLong(self.most));
            }
            self.line.extend_from_slice(piece);
            let used = piece.len() + usize::from(end.is_some());
            self.read.consume(used);
            self.whole = end.is_some();
        }
        Ok(&self.line)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn a_line_comes_whole_however_it_was_cut() {
        let (mut server, client) = tokio::io::duplex(64);
        let mut lines = Lines::new(client, 100);
        server.write_all(b"one\ntw").await.unwrap();
        assert_eq!(lines.next().await.unwrap(), b"one");
        // Given up in the middle of it.
        let waited = tokio::time::timeout(std::time::Duration::from_millis(20), lines.next());
        assert!(waited.await.is_err());
        server.write_all(b"o\n\nthree").await.unwrap();
        assert_eq!(lines.next().await.unwrap(), b"two");
        assert_eq!(lines.next().await.unwrap(), b"");
        drop(server);
        assert!(matches!(lines.next().await, Err(LineError::Broken(5))));
    }

    #[tokio::test]
    async fn nothing_is_held_beyond_the_limit() {
        let (mut server, client) = tokio::io::duplex(1 << 10);
        let mut lines = Lines::new(client, 10);
        server.write_all(b"0123456789\n0123456789a").await.unwrap();
        assert_eq!(lines.next().await.unwrap(), b"0123456789");
        assert!(matches!(lines.next().await, Err(LineError::TooLong(10))));
    }
}
