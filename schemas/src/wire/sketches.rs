//! How sketches stand in a record: as `bytes`, in the one form in which each is written.

use super::{
    input::{Input, Problem, put_bytes},
    plan::{Kind, Step},
    values::Base,
};
use crate::sketch::{Bins, Distinct};

macro_rules! sketches {
    ($($sketch:ty),*) => {$(
        impl Base for $sketch {
            const KIND: Kind = Kind::Binary;
            fn put(&self, out: &mut Vec<u8>) {
                put_bytes(&self.encode(), out);
            }
            fn get(input: &mut Input<'_>, _: &Step) -> Result<Self, Problem> {
                Ok(Self::decode(input.bytes()?)?)
            }
        }
    )*};
}
sketches!(Bins, Distinct);
