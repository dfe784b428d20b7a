//! The strict decoder (Contract ABI Specification, section Formal Specification of the Encoding).
//!
//! Guarantee: data is taken only where it is, byte for byte, what an encoder makes of the values that are written: heads in order, each
//! offset where the next tail begins, paddings right, nothing between and nothing left over. So a value has one encoding, no part of the
//! data is read twice, and the time is that of the data's length; what is written stays below [`limits::DECODED_BYTES`].

use alloy_primitives::B256;
use schemas::limits::decoding as limits;

use crate::{
    types::{Fields, Kind, Type},
    write,
};

const WORD: usize = 32;

/// Decodes parameters that are all that `data` holds.
pub(crate) fn parameters(fields: &Fields, data: &[u8], out: &mut String) -> Option<()> {
    let behind = beginning(fields, data, out)?;
    (behind == data.len()).then_some(())
}

/// Decodes parameters that `data` begins with; gives where they end.
pub(crate) fn beginning(fields: &Fields, data: &[u8], out: &mut String) -> Option<usize> {
    let mut reader = Reader { data, end: out.len() + limits::DECODED_BYTES };
    reader.tuple(fields, 0, out)
}

/// Decodes an event's parameters: those that are indexed from the topics behind the signature's, the others from the data.
pub(crate) fn event(fields: &Fields, indexed: &[bool], topics: &[B256], data: &[u8], out: &mut String) -> Option<()> {
    let mut reader = Reader { data, end: out.len() + limits::DECODED_BYTES };
    let in_data = || fields.each.iter().zip(indexed).filter(|(_, indexed)| !**indexed).map(|(field, _)| field);
    let mut tail = WORD * in_data().map(|field| field.ty.words).sum::<usize>();
    let (mut head, mut topics) = (0, topics.iter());
    for (field, indexed) in fields.each.iter().zip(indexed) {
        out.push_str(&field.key);
        if !indexed {
            reader.value(&field.ty, 0, &mut head, &mut tail, out)?;
        } else if field.ty.is_value() {
            elementary(&field.ty.kind, topics.next()?, out)?;
        } else {
            write::hex_short(topics.next()?.as_slice(), out);
        }
    }
    out.push_str(if fields.each.is_empty() { "{}" } else { "}" });
    (tail == data.len() && topics.next().is_none()).then_some(())
}

/// Decodes values that stand side by side without padding, as rollups pass what they tell a block.
pub(crate) fn packed(fields: &Fields, data: &[u8], out: &mut String) -> Option<()> {
    let mut rest = data;
    for field in &fields.each {
        out.push_str(&field.key);
        let (size, left) = match field.ty.kind {
            Kind::Uint(pad) | Kind::Int(pad) => (WORD - pad, true),
            Kind::Address => (20, true),
            Kind::Bool => (1, true),
            Kind::Fixed(size) => (size, false),
            _ => return None,
        };
        let (bytes, behind) = rest.split_at_checked(size)?;
        let negative = matches!(field.ty.kind, Kind::Int(_)) && bytes.first()? & 0x80 != 0;
        let mut word = [if negative { 0xff } else { 0 }; WORD];
        let at = if left { WORD - size } else { 0 };
        word[at..at + size].copy_from_slice(bytes);
        elementary(&field.ty.kind, &word, out)?;
        rest = behind;
    }
    out.push_str(if fields.each.is_empty() { "{}" } else { "}" });
    rest.is_empty().then_some(())
}

struct Reader<'d> {
    data: &'d [u8],
    /// The length that the text must not pass.
    end: usize,
}

impl Reader<'_> {
    #[inline]
    fn word(&self, at: usize) -> Option<&[u8; WORD]> {
        self.data.get(at..)?.first_chunk()
    }

    /// A word that is an offset or a count: what does not fit is more than any data has.
    #[inline]
    fn number(&self, at: usize) -> Option<usize> {
        let (high, low) = self.word(at)?.split_last_chunk::<8>()?;
        (high == [0; 24]).then(|| usize::try_from(u64::from_be_bytes(*low)).ok())?
    }

    /// A tuple whose heads begin at `base`; where its last tail ends.
    fn tuple(&mut self, fields: &Fields, base: usize, out: &mut String) -> Option<usize> {
        let (mut head, mut tail) = (base, base + WORD * fields.words);
        if tail > self.data.len() {
            return None;
        }
        for field in &fields.each {
            out.push_str(&field.key);
            self.value(&field.ty, base, &mut head, &mut tail, out)?;
        }
        out.push_str(if fields.each.is_empty() { "{}" } else { "}" });
        Some(tail)
    }

    /// A value whose head is at `head`, in a sequence whose heads begin at `base` and whose next tail at `tail`. Both move on.
    #[inline]
    fn value(&mut self, ty: &Type, base: usize, head: &mut usize, tail: &mut usize, out: &mut String) -> Option<()> {
        if ty.dynamic {
            if self.number(*head)? != *tail - base {
                return None;
            }
            *tail = self.dynamic(ty, *tail, out)?;
            *head += WORD;
        } else {
            self.fixed(ty, *head, out)?;
            *head += WORD * ty.words;
        }
        Some(())
    }

    /// What stands at `at` and has no tail.
    fn fixed(&mut self, ty: &Type, at: usize, out: &mut String) -> Option<()> {
        match &ty.kind {
            Kind::Tuple(fields) => self.tuple(fields, at, out).map(drop),
            Kind::Array(inner, count) => self.sequence(inner, *count, at, out).map(drop),
            kind => {
                elementary(kind, self.word(at)?, out)?;
                (out.len() <= self.end).then_some(())
            }
        }
    }

    /// What begins at `at` and has no fixed length; where it ends.
    fn dynamic(&mut self, ty: &Type, at: usize, out: &mut String) -> Option<usize> {
        match &ty.kind {
            Kind::Tuple(fields) => self.tuple(fields, at, out),
            Kind::Array(inner, count) => self.sequence(inner, *count, at, out),
            Kind::List(inner) => {
                let count = self.number(at)?;
                self.sequence(inner, count, at + WORD, out)
            }
            Kind::Bytes | Kind::String => {
                let length = self.number(at)?;
                let rest = self.data.get(at + WORD..)?;
                let bytes = rest.get(..length)?;
                let padded = length.checked_next_multiple_of(WORD)?;
                if rest.get(length..padded)?.iter().any(|b| *b != 0) || 2 * length > self.end.saturating_sub(out.len())
                {
                    return None;
                }
                match ty.kind {
                    Kind::Bytes => write::hex(bytes, out),
                    _ => write::text(std::str::from_utf8(bytes).ok()?, out),
                }
                (out.len() <= self.end).then_some(at + WORD + padded)
            }
            _ => None,
        }
    }

    /// `count` values of one type whose heads begin at `base`; where the last tail ends.
    fn sequence(&mut self, ty: &Type, count: usize, base: usize, out: &mut String) -> Option<usize> {
        let mut tail = ty.words.checked_mul(WORD)?.checked_mul(count)?.checked_add(base)?;
        if tail > self.data.len() {
            return None;
        }
        let mut head = base;
        out.push('[');
        for i in 0..count {
            if i > 0 {
                out.push(',');
            }
            self.value(ty, base, &mut head, &mut tail, out)?;
        }
        out.push(']');
        // Empty lists write too, and what stands before them.
        (out.len() <= self.end).then_some(tail)
    }
}

/// A value of one word, with its padding checked.
#[inline]
fn elementary(kind: &Kind, word: &[u8; WORD], out: &mut String) -> Option<()> {
    let same = |bytes: &[u8], as_what: u8| bytes.iter().all(|b| *b == as_what);
    match kind {
        Kind::Uint(pad) => {
            if !same(&word[..*pad], 0) {
                return None;
            }
            write::unsigned(word, false, out);
        }
        Kind::Int(pad) => {
            let negative = word[*pad] & 0x80 != 0;
            if !same(&word[..*pad], if negative { 0xff } else { 0 }) {
                return None;
            }
            write::unsigned(word, negative, out);
        }
        Kind::Address => {
            let (pad, address) = word.split_last_chunk::<20>()?;
            if pad != [0; 12] {
                return None;
            }
            write::hex_short(address, out);
        }
        Kind::Bool => {
            let (last, pad) = word.split_last()?;
            if !same(pad, 0) || *last > 1 {
                return None;
            }
            out.push_str(if *last == 1 { "true" } else { "false" });
        }
        Kind::Fixed(n) => {
            let (bytes, pad) = word.split_at(*n);
            if !same(pad, 0) {
                return None;
            }
            write::hex_short(bytes, out);
        }
        Kind::Bytes | Kind::String | Kind::List(_) | Kind::Array(..) | Kind::Tuple(_) => return None,
    }
    Some(())
}
