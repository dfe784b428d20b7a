//! Human-readable ABI lines: `event Transfer(address indexed from, address indexed to, uint256 value)`.
//!
//! Kind, name, parameters with types and names, tuples in brackets; an event may end in `anonymous`. What comes behind a function's
//! parameters (mutability, what it returns) is not needed for decoding and is not looked at. `alloy-json-abi` reads such lines too, but
//! forgets the names of a tuple's members.

use alloy_json_abi::{AbiItem, Error, Event, EventParam, Function, Param, StateMutability};
use schemas::limits::decoding as limits;

/// A line that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: {problem}: write it like `event Transfer(address indexed from, address indexed to, uint256 value)`"
)]
pub struct LineError {
    /// Which one, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

/// Reads one. `Ok(None)` for an empty line or a comment, which begins with `#`.
///
/// # Errors
/// What is wrong, in a sentence.
pub fn item(text: &str) -> Result<Option<AbiItem<'static>>, String> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let (kind, rest) = text.split_once(' ').ok_or("there is a kind and no name")?;
    let (name, rest) = rest.split_once('(').ok_or("no `(` opens the parameters")?;
    let name = identifier(name)?;
    let mut rest = rest;
    let params = members(&mut rest, 0)?;
    let params_of = |params: Vec<Read>| -> Result<Vec<Param>, String> {
        params
            .into_iter()
            .map(|p| if p.indexed { Err("`indexed` is for events".to_owned()) } else { p.param() })
            .collect()
    };
    Ok(Some(match kind {
        "function" => AbiItem::from(Function {
            name,
            inputs: params_of(params)?,
            outputs: Vec::new(),
            state_mutability: StateMutability::NonPayable,
        }),
        "error" => AbiItem::from(Error { name, inputs: params_of(params)? }),
        "event" => {
            let inputs = params.into_iter().map(|p| {
                let indexed = p.indexed;
                let Param { ty, name, components, .. } = p.param()?;
                EventParam::new(&name, &ty, indexed, components, None).map_err(|e| e.to_string())
            });
            let inputs: Vec<EventParam> = inputs.collect::<Result<_, String>>()?;
            AbiItem::from(Event { name, inputs, anonymous: rest.trim() == "anonymous" })
        }
        other => return Err(format!("`{other}` is neither function, event nor error")),
    }))
}

struct Read {
    ty: String,
    name: String,
    indexed: bool,
    components: Vec<Param>,
}

impl Read {
    fn param(self) -> Result<Param, String> {
        Param::new(&self.name, &self.ty, self.components, None).map_err(|e| e.to_string())
    }
}

/// Reads up to the closing bracket and behind it.
fn members(rest: &mut &str, depth: usize) -> Result<Vec<Read>, String> {
    if depth > limits::TYPE_DEPTH {
        return Err(format!("tuples nest deeper than {}", limits::TYPE_DEPTH));
    }
    let mut read = Vec::new();
    *rest = rest.trim_start();
    if let Some(behind) = rest.strip_prefix(')') {
        *rest = behind;
        return Ok(read);
    }
    loop {
        *rest = rest.trim_start();
        let components = match rest.strip_prefix('(') {
            Some(behind) => {
                *rest = behind;
                let components = members(rest, depth + 1)?.into_iter().map(Read::param);
                Some(components.collect::<Result<Vec<_>, _>>()?)
            }
            None => None,
        };
        let end = rest.find([',', ')']).ok_or("no `)` closes the parameters")?;
        let (words, behind) = rest.split_at(end);
        let (last, behind) = (behind.starts_with(')'), &behind[1..]);
        *rest = behind;
        let mut words = words.split(' ').filter(|word| !word.is_empty());
        let (ty, first) = match &components {
            // `(…)[] indexed name`: what follows the bracket directly is part of the type.
            Some(_) => {
                let first = words.next();
                let array = first.filter(|word| word.starts_with('['));
                (format!("tuple{}", array.unwrap_or_default()), if array.is_some() { words.next() } else { first })
            }
            None => (words.next().ok_or("a parameter has no type")?.to_owned(), words.next()),
        };
        let indexed = first == Some("indexed");
        let name = if indexed { words.next() } else { first };
        let name = name.map(identifier).transpose()?.unwrap_or_default();
        if words.next().is_some() {
            return Err(format!("there is something behind the name of `{ty} {name}`"));
        }
        read.push(Read { ty, name, indexed, components: components.unwrap_or_default() });
        if last {
            return Ok(read);
        }
    }
}

fn identifier(text: &str) -> Result<String, String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'$';
    if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) || !text.bytes().all(good) {
        return Err(format!("`{text}` is no name"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(line: &str) -> String {
        match item(line).unwrap().unwrap() {
            AbiItem::Function(f) => f.signature(),
            AbiItem::Event(e) => e.signature(),
            AbiItem::Error(e) => e.signature(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_what_it_should() {
        let same = [
            ("function f()", "f()"),
            ("function f ( )", ""),
            ("error E(bytes4 selector)", "E(bytes4)"),
            (
                "event X(address indexed a, (uint8 x, (bytes b, int24[2] c)[] d)[3][] indexed e, string f) anonymous",
                "X(address,(uint8,(bytes,int24[2])[])[3][],string)",
            ),
            (
                "function g((address,uint256) p, uint256[] q) payable returns (uint256, bytes[])",
                "g((address,uint256),uint256[])",
            ),
        ];
        for (line, expected) in same {
            match expected {
                "" => assert!(item(line).is_err(), "{line}"),
                expected => assert_eq!(signature(line), expected),
            }
        }
        let AbiItem::Event(e) = item(same[3].0).unwrap().unwrap() else { panic!() };
        assert!(e.anonymous && e.inputs[0].indexed && e.inputs[1].indexed && !e.inputs[2].indexed);
        assert_eq!(e.inputs[1].components[1].components[0].name, "b");
        assert_eq!(item("# x"), Ok(None));
        for wrong in [
            "function",
            "function f",
            "function f(uint256",
            "function f(uint256 1x)",
            "function f(uint256 a b)",
            "f(uint256)",
            "function f(uint256 indexed a)",
            "event E(,)",
            "event E((uint256 a)",
            "fallback f()",
            "function f(uint256 a,)",
        ] {
            assert!(item(wrong).is_err(), "{wrong}");
        }
    }
}
