//! The headers of blocks that no fork reaches any more, in a file beside the chain's origin: a restart goes on behind them.
//!
//! Guarantee: a file that was cut off, or is another chain's, costs the time to make its blocks again, and nothing else.

use super::Error;
use super::block::Header;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

/// The file, open: headers from height 1 on, 80 bytes each.
#[derive(Debug)]
pub(crate) struct Kept {
    path: PathBuf,
    file: File,
    count: usize,
}

impl Kept {
    /// Opens or makes it.
    pub(crate) fn open(path: PathBuf) -> Result<Self, Error> {
        let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        match open {
            Ok(file) => Ok(Self { path, file, count: 0 }),
            Err(source) => Err(Error::File { path, source }),
        }
    }

    fn failed(&self) -> impl Fn(std::io::Error) -> Error + use<> {
        let path = self.path.clone();
        move |source| Error::File { path: path.clone(), source }
    }

    /// All that is in it.
    pub(crate) fn read(&mut self) -> Result<Vec<Header>, Error> {
        let mut bytes = Vec::new();
        let failed = self.failed();
        self.file.seek(SeekFrom::Start(0)).map_err(&failed)?;
        self.file.read_to_end(&mut bytes).map_err(&failed)?;
        Ok(bytes.chunks_exact(80).filter_map(|header| header.try_into().ok()).collect())
    }

    /// Keeps the first `count`, and goes on behind them.
    pub(crate) fn cut(&mut self, count: usize) -> Result<(), Error> {
        let failed = self.failed();
        self.file.set_len(count as u64 * 80).map_err(&failed)?;
        self.file.seek(SeekFrom::End(0)).map_err(&failed)?;
        self.count = count;
        Ok(())
    }

    /// How many it has.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Adds the next.
    pub(crate) fn add(&mut self, header: &Header) -> Result<(), Error> {
        let failed = self.failed();
        self.file.write_all(header).map_err(failed)?;
        self.count += 1;
        Ok(())
    }
}
