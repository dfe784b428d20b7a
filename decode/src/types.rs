//! Types of the Contract ABI Specification, resolved once into what decoding goes through.
//!
//! Guarantee: a [`Type`] is one that can be decoded in bounded time: it nests at most [`limits::TYPE_DEPTH`] deep, its head has at most
//! [`limits::TYPE_WORDS`] words, and every value of it takes at least one word, so that no count in the data costs more than the data
//! itself is long.

use alloy_json_abi::{EventParam, Param};
use schemas::limits::decoding as limits;

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Type {
    pub(crate) kind: Kind,
    /// Whether its head is an offset (section Formal Specification of the Encoding).
    pub(crate) dynamic: bool,
    /// Words of its head: of a dynamic type 1, of another all that it takes.
    pub(crate) words: usize,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `uint<N>`: bytes of a word that must be zero.
    Uint(usize),
    /// `int<N>`: bytes of a word that repeat the sign.
    Int(usize),
    Address,
    Bool,
    /// `bytes<N>`, and `function`, which is 24 bytes: how many.
    Fixed(usize),
    Bytes,
    String,
    /// `T[]`
    List(Box<Type>),
    /// `T[N]`
    Array(Box<Type>, usize),
    Tuple(Fields),
}

/// The members of a tuple, or parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) each: Box<[Field]>,
    /// Words of all heads together.
    pub(crate) words: usize,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// What stands before its value: `{"name":` or `,"name":`.
    pub(crate) key: Box<str>,
    pub(crate) ty: Type,
}

/// A type that is not decoded: unknown, empty, or over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsupported;

impl Type {
    /// The type of a parameter as JSON ABIs write it: `tuple[2][]` with its components.
    pub(crate) fn of(ty: &str, components: &[Param], depth: usize) -> Result<Self, Unsupported> {
        if depth > limits::TYPE_DEPTH {
            return Err(Unsupported);
        }
        if let Some(rest) = ty.strip_suffix(']') {
            let (inner, count) = rest.rsplit_once('[').ok_or(Unsupported)?;
            let inner = Box::new(Self::of(inner, components, depth + 1)?);
            if count.is_empty() {
                return Ok(Self { kind: Kind::List(inner), dynamic: true, words: 1 });
            }
            let count: usize = count.parse().map_err(|_| Unsupported)?;
            let words =
                inner.words.checked_mul(count).filter(|n| (1..=limits::TYPE_WORDS).contains(n)).ok_or(Unsupported)?;
            let dynamic = inner.dynamic;
            return Ok(Self { kind: Kind::Array(inner, count), dynamic, words: if dynamic { 1 } else { words } });
        }
        let number = |text: &str| text.parse::<usize>().map_err(|_| Unsupported);
        let pad = |bits: &str| match bits {
            "" => Ok(0),
            bits => number(bits)
                .and_then(|n| if n % 8 == 0 && (8..=256).contains(&n) { Ok(32 - n / 8) } else { Err(Unsupported) }),
        };
        let kind = match ty {
            "address" => Kind::Address,
            "bool" => Kind::Bool,
            "bytes" => Kind::Bytes,
            "string" => Kind::String,
            "function" => Kind::Fixed(24),
            "tuple" => Kind::Tuple(Fields::of(components, depth + 1)?),
            _ => {
                if let Some(bits) = ty.strip_prefix("uint") {
                    Kind::Uint(pad(bits)?)
                } else if let Some(bits) = ty.strip_prefix("int") {
                    Kind::Int(pad(bits)?)
                } else {
                    let n = number(ty.strip_prefix("bytes").ok_or(Unsupported)?)?;
                    Kind::Fixed(if (1..=32).contains(&n) { n } else { return Err(Unsupported) })
                }
            }
        };
        let dynamic = match &kind {
            Kind::Bytes | Kind::String => true,
            Kind::Tuple(fields) => fields.each.iter().any(|field| field.ty.dynamic),
            _ => false,
        };
        let words = match &kind {
            Kind::Tuple(fields) if !dynamic => fields.words,
            _ => 1,
        };
        Ok(Self { kind, dynamic, words })
    }

    /// Whether an indexed parameter of this type is its own topic; of any other the topic is a hash (section Events).
    pub(crate) fn is_value(&self) -> bool {
        matches!(self.kind, Kind::Uint(_) | Kind::Int(_) | Kind::Address | Kind::Bool | Kind::Fixed(_))
    }
}

impl Fields {
    /// Members of a tuple, of which there must be one, or a function's or error's parameters.
    pub(crate) fn of(params: &[Param], depth: usize) -> Result<Self, Unsupported> {
        if depth > 0 && params.is_empty() {
            return Err(Unsupported);
        }
        Self::new(params.iter().map(|p| (p.name.as_str(), p.ty.as_str(), p.components.as_slice())), depth)
    }

    /// An event's parameters.
    pub(crate) fn of_event(params: &[EventParam]) -> Result<Self, Unsupported> {
        Self::new(params.iter().map(|p| (p.name.as_str(), p.ty.as_str(), p.components.as_slice())), 0)
    }

    fn new<'p>(
        params: impl Iterator<Item = (&'p str, &'p str, &'p [Param])>,
        depth: usize,
    ) -> Result<Self, Unsupported> {
        let (mut each, mut names, mut words) = (Vec::<Field>::new(), Vec::new(), 0);
        for (at, (name, ty, components)) in params.enumerate() {
            // Without a name, or with one that was there before: by position.
            let name = if name.is_empty() || names.contains(&name) {
                at.to_string()
            } else {
                names.push(name);
                name.to_owned()
            };
            let begin = if at == 0 { '{' } else { ',' };
            let key = format!("{begin}{}:", serde_json::Value::String(name)).into_boxed_str();
            let ty = Type::of(ty, components, depth)?;
            words += ty.words;
            if words > limits::TYPE_WORDS {
                return Err(Unsupported);
            }
            each.push(Field { key, ty });
        }
        Ok(Self { each: each.into_boxed_slice(), words })
    }
}
