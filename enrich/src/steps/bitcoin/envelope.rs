//! Inscriptions in witnesses: `OP_FALSE OP_IF "ord" …` in the script of a Taproot script path (BIP-341, BIP-342), as the `ord` protocol
//! writes them: fields of a tag and a value, then, behind an empty tag, the body. Field 1 is the media type.

use bitcoin::{
    Script, Witness,
    opcodes::all::{OP_ENDIF, OP_IF},
    script::{Instruction, Instructions},
};
use schemas::limits::bitcoin::MEDIA_TYPE_BYTES;

use super::scripts::small_number;

const PROTOCOL: &[u8] = b"ord";
/// Tag of the media type.
const MEDIA_TYPE: &[u8] = &[1];

/// The media type of the first inscription that a witness reveals, empty where it names none; `None`: it reveals none.
pub fn media_type(witness: &Witness) -> Option<String> {
    // The last two are script and control block, but for an annex.
    let items = witness.len() - usize::from(witness.taproot_annex().is_some());
    let script = witness.nth(items.checked_sub(2)?)?;
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
        Instruction::Op(op) => small_number(op).map(|number| vec![number]),
    }
}
