//! Rows as one plain block of ClickHouse's [Native format]: a column after the other, as the engine keeps them, so that taking
//! one in is a copy and no parsing.
//!
//! A table's columns are said once, with [`columns!`]: names, types and order of the struct are those of the insert. Values are
//! pushed straight from the decoded records; the same rows give the same bytes, so that a second try sends what the first one sent.
//! That names and types are the table's own is shown below ([`super`]'s tests), that every value arrives by `tests/sink/values.rs`.
//!
//! The `clickhouse` crate has a writer of such blocks too; it has no `LowCardinality`, so that a network's name is sent and looked
//! up once per row, and it sends every text of 128 bytes and more as a piece of its own.
//!
//! [Native format]: https://clickhouse.com/docs/reference/formats/Native

mod column;
mod nested;
mod words;

use bytes::Bytes;

pub use column::{Column, Fixed, Numbers, Plain, Strings, Times, Values};
pub use nested::{Arrays, Nullable};
pub use words::Words;

/// Largest piece of a block that is sent at once.
const PIECE: usize = 1 << 20;
/// Parts below this are gathered into a piece, larger ones are sent as they are.
const SMALL: usize = 64 << 10;

/// The columns of a table, being filled.
pub trait Columns: Sized {
    /// The table.
    const TABLE: &'static str;
    /// Its columns that are filled, as a list for `INSERT INTO`.
    const NAMES: &'static str;

    /// Their names and types.
    #[cfg(test)]
    fn kinds() -> Vec<(&'static str, String)>;
    /// None yet, with room for so many rows.
    fn with_rows(rows: usize) -> Self;
    /// The block.
    fn into_block(self) -> Result<Block, Uneven>;
}

/// Columns were filled with different numbers of rows.
#[derive(Debug, thiserror::Error)]
#[error("column `{column}` has {rows} rows, the ones before it have {of}")]
pub struct Uneven {
    column: &'static str,
    rows: usize,
    of: usize,
}

/// A block, in the order in which it is sent.
pub struct Block {
    rows: usize,
    pieces: Vec<Bytes>,
}

impl Block {
    /// Its rows.
    pub fn rows(&self) -> u64 {
        self.rows as u64
    }

    /// What is sent, piece by piece. A piece's memory is free once it was sent.
    pub fn into_pieces(self) -> impl Iterator<Item = Bytes> {
        self.pieces.into_iter().flat_map(|piece| {
            let cuts = (0..piece.len()).step_by(PIECE);
            cuts.map(move |from| piece.slice(from..piece.len().min(from + PIECE)))
        })
    }
}

/// Puts columns together to a block.
pub struct Builder {
    rows: usize,
    pieces: Vec<Bytes>,
    open: Vec<u8>,
}

impl Builder {
    /// Of so many columns and rows.
    pub fn new(columns: usize, rows: usize) -> Self {
        let mut open = Vec::with_capacity(SMALL);
        put_length(&mut open, columns);
        put_length(&mut open, rows);
        Self { rows, pieces: Vec::new(), open }
    }

    /// Adds the next column.
    pub fn add<C: Column>(&mut self, name: &'static str, column: C) -> Result<(), Uneven> {
        if column.rows() != self.rows {
            return Err(Uneven { column: name, rows: column.rows(), of: self.rows });
        }
        put_text(&mut self.open, name.as_bytes());
        put_text(&mut self.open, C::kind().as_bytes());
        column.parts(&mut |part| {
            if part.len() < SMALL {
                self.open.extend_from_slice(&part);
            } else {
                self.pieces.push(std::mem::take(&mut self.open).into());
                self.pieces.push(part.into());
            }
        });
        Ok(())
    }

    /// The whole.
    pub fn finish(mut self) -> Block {
        self.pieces.push(self.open.into());
        Block { rows: self.rows, pieces: self.pieces }
    }
}

/// A length as the format has it (LEB128).
fn put_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// Bytes with their length in front.
fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_length(out, text.len());
    out.extend_from_slice(text);
}

/// The columns of a table: a struct with a field for each, in the order of the insert.
macro_rules! columns {
    ($(#[$doc:meta])* $name:ident of $table:literal { $($column:ident: $kind:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[allow(missing_docs)]
        pub struct $name {
            $(pub $column: $kind),+
        }

        impl $crate::rows::native::Columns for $name {
            const TABLE: &'static str = $table;
            const NAMES: &'static str = $crate::rows::native::list!($($column)+);

            #[cfg(test)]
            fn kinds() -> Vec<(&'static str, String)> {
                vec![$((stringify!($column), <$kind as $crate::rows::native::Column>::kind())),+]
            }

            fn with_rows(rows: usize) -> Self {
                Self { $($column: <$kind as $crate::rows::native::Column>::with_rows(rows)),+ }
            }

            fn into_block(self) -> Result<$crate::rows::native::Block, $crate::rows::native::Uneven> {
                let rows = [$($crate::rows::native::Column::rows(&self.$column)),+];
                let mut block = $crate::rows::native::Builder::new(rows.len(), rows[0]);
                $(block.add(stringify!($column), self.$column)?;)+
                Ok(block.finish())
            }
        }
    };
}

/// `a, b, c`.
macro_rules! list {
    ($first:ident $($next:ident)*) => { concat!(stringify!($first) $(, ", ", stringify!($next))*) };
}

pub(crate) use {columns, list};

#[cfg(test)]
mod tests {
    use super::*;

    columns! {
        /// A table.
        Sample of "sample" { a: Numbers<u16>, b: Words, c: Nullable<Strings>, d: Arrays<Fixed<2>> }
    }

    fn bytes(block: Block) -> Vec<u8> {
        block.into_pieces().flatten().collect()
    }

    #[test]
    fn a_block_is_what_the_format_says() {
        let mut sample = Sample::with_rows(2);
        for (a, b, c, d) in [(1, "x", Some("é"), vec![[1, 2], [3, 4]]), (515, "x", None, vec![])] {
            sample.a.push(a);
            sample.b.push(b);
            sample.c.push(c.map(str::as_bytes));
            sample.d.push_all(d);
        }
        assert_eq!((Sample::TABLE, Sample::NAMES), ("sample", "a, b, c, d"));
        let mut wanted = vec![4, 2];
        wanted.extend(b"\x01a\x06UInt16\x01\x00\x03\x02");
        wanted.extend(b"\x01b\x16LowCardinality(String)\x01\0\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01x\x02\0\0\0\0\0\0\0\0\0");
        wanted.extend(b"\x01c\x10Nullable(String)\x00\x01\x02\xc3\xa9\x00");
        wanted.extend(b"\x01d\x15Array(FixedString(2))\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01\x02\x03\x04");
        assert_eq!(bytes(sample.into_block().expect("even")), wanted);
    }

    #[test]
    fn columns_of_different_lengths_are_refused() {
        let mut sample = Sample::with_rows(1);
        sample.a.push(1);
        sample.b.push("x");
        let error = sample.into_block().err().expect("an error").to_string();
        assert_eq!(error, "column `c` has 0 rows, the ones before it have 1");
    }

    #[test]
    fn large_columns_are_cut_into_pieces_and_nothing_is_lost() {
        let rows = 3 * PIECE / 32 + 7;
        let mut column = Fixed::<32>::with_rows(rows);
        (0..rows).for_each(|i| column.push([i as u8; 32]));
        let mut builder = Builder::new(1, rows);
        builder.add("a", column).expect("even");
        let block = builder.finish();
        assert_eq!(block.rows(), rows as u64);
        let pieces: Vec<Bytes> = block.into_pieces().collect();
        assert!(pieces.len() >= 4 && pieces.iter().all(|piece| piece.len() <= PIECE));
        let all = pieces.concat();
        assert!(all.ends_with(&[(rows - 1) as u8; 32]) && all.len() > rows * 32);
    }
}
