//! Inscriptions in witnesses: `OP_FALSE OP_IF "ord" …` in the script of a Taproot script path (BIP-341, BIP-342), as the `ord` protocol
//! writes them: fields of a tag and a value, then, behind an empty tag, the body. Field 1 is the media type.

use bitcoin::{
    Script, Witness,
    opcodes::all::{OP_ENDIF, OP_IF, OP_PUSHNUM_1, OP_PUSHNUM_16},
    script::{Instruction, Instructions},
};
use schemas::limits::bitcoin::MEDIA_TYPE_BYTES;

/// First byte of an annex (BIP-341).
const ANNEX: u8 = 0x50;
const PROTOCOL: &[u8] = b"ord";
/// Tag of the media type.
const MEDIA_TYPE: &[u8] = &[1];

/// The media type of the first inscription that a witness reveals, empty where it names none; `None`: it reveals none.
pub fn media_type(witness: &Witness) -> Option<String> {
    let items: Vec<&[u8]> = witness.iter().collect();
    let items = match items.as_slice() {
        [rest @ .., last] if !rest.is_empty() && last.first() == Some(&ANNEX) => rest,
        all => all,
    };
    let [.., script, _control] = items else { return None };
    let mut instructions = Script::from_bytes(script).instructions();
    // How much of the beginning stands before.
    let mut seen = 0;
    while let Some(Ok(instruction)) = instructions.next() {
        seen = match (seen, instruction) {
            (_, Instruction::PushBytes(bytes)) if bytes.is_empty() => 1,
            (1, Instruction::Op(OP_IF)) => 2,
            (2, Instruction::PushBytes(bytes)) if bytes.as_bytes() == PROTOCOL => match fields(instructions.clone()) {
                Some(found) => return Some(found),
                None => 0,
            },
            _ => 0,
        };
    }
    None
}

/// The media type among the fields; `None`: it does not end as an envelope does.
fn fields(mut instructions: Instructions<'_>) -> Option<String> {
    let mut found: Option<String> = None;
    let mut is_body = false;
    loop {
        let tag = match instructions.next()?.ok()? {
            Instruction::Op(OP_ENDIF) => return Some(found.unwrap_or_default()),
            instruction => pushed(instruction)?,
        };
        is_body |= tag.is_empty();
        if is_body {
            continue;
        }
        let value = match instructions.next()?.ok()? {
            // A tag without a value.
            Instruction::Op(OP_ENDIF) => return Some(found.unwrap_or_default()),
            instruction => pushed(instruction)?,
        };
        if tag == MEDIA_TYPE && found.is_none() {
            found = Some(String::from_utf8_lossy(&value).into_owned());
        }
    }
}

/// What an instruction pushes.
fn pushed(instruction: Instruction<'_>) -> Option<Vec<u8>> {
    match instruction {
        // Bodies are long, and nobody looks at them.
        Instruction::PushBytes(bytes) => {
            Some(bytes.as_bytes().get(..MEDIA_TYPE_BYTES).unwrap_or(bytes.as_bytes()).to_vec())
        }
        Instruction::Op(op) => {
            let (first, last) = (OP_PUSHNUM_1.to_u8(), OP_PUSHNUM_16.to_u8());
            (first..=last).contains(&op.to_u8()).then(|| vec![op.to_u8() - first + 1])
        }
    }
}
