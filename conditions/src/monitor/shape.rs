//! What a signature stands for: names and kinds of parameters, and how logs and calls of it are decoded.

use std::{collections::HashMap, sync::Arc};

use alloy_json_abi::{AbiItem, EventParam, Param};
use alloy_primitives::B256;

use crate::expression::Kind;

/// What a condition is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum What {
    Event,
    Function,
}

impl What {
    const fn word(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Function => "function",
        }
    }

    const fn example(self) -> &'static str {
        match self {
            Self::Event => {
                "write it like `Transfer(address,address,uint256)`, or with names: `Transfer(address indexed from, address indexed to, uint256 value)`"
            }
            Self::Function => {
                "write it like `transfer(address,uint256)`, or with names: `transfer(address to, uint256 amount)`"
            }
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Shape {
    pub what: What,
    /// Without names: `Transfer(address,address,uint256)`.
    pub canonical: Arc<str>,
    /// First topic; of a function the selector and zeros.
    pub id: B256,
    /// With names and `indexed`: two shapes with the same words are the same.
    pub words: String,
    pub parameters: Vec<(String, Kind)>,
    /// Topics of its logs.
    topics: usize,
    /// `None`: which parameters are indexed is not known, so nothing is decoded.
    abi: Option<decode::Abi>,
}

impl Shape {
    /// Of an item; `is_known`: whether it says which parameters are indexed.
    fn of(item: &AbiItem<'static>, is_known: bool) -> Option<Self> {
        let abi = is_known.then(|| decode::Abi::from_items(std::slice::from_ref(item))).filter(|abi| !abi.is_empty());
        let (what, canonical, id, parameters) = match item {
            AbiItem::Event(e) => (What::Event, e.signature(), e.selector(), Kind::of_event(&e.inputs)),
            AbiItem::Function(f) => {
                let mut id = B256::ZERO;
                id.iter_mut().zip(f.selector().0).for_each(|(to, from)| *to = from);
                (What::Function, f.signature(), id, Kind::of_parameters(&f.inputs))
            }
            _ => return None,
        };
        let topics = match item {
            AbiItem::Event(e) => 1 + e.inputs.iter().filter(|p| p.indexed).count(),
            _ => 0,
        };
        let words = match item {
            AbiItem::Event(e) => {
                let indexed: String = e.inputs.iter().map(|p| if p.indexed { 'i' } else { '-' }).collect();
                format!("{canonical} {indexed} {} {:?}", abi.is_some(), parameters)
            }
            _ => format!("{canonical} {:?}", parameters),
        };
        Some(Self { what, canonical: canonical.into(), id, words, parameters, topics, abi })
    }

    /// Whether logs or calls of it can be decoded.
    pub fn is_decodable(&self) -> bool {
        self.abi.is_some() || self.parameters.is_empty()
    }

    /// Whether a log with so many topics can be one of it.
    pub fn has_topics(&self, count: usize) -> bool {
        self.topics == count
    }

    /// Decodes a call; the arguments are appended.
    pub fn call(&self, input: &[u8], out: &mut String) -> bool {
        self.abi.as_ref().is_some_and(|abi| abi.call_beginning_into(input, out))
    }

    /// Decodes a log; the arguments are appended.
    pub fn event(&self, topics: &[B256], data: &[u8], out: &mut String) -> bool {
        self.abi.as_ref().is_some_and(|abi| abi.event_alone_into(topics, data, out))
    }
}

/// Events and functions of an ABI, by their canonical signatures.
pub(super) struct Items(HashMap<(What, String), AbiItem<'static>>);

impl Items {
    /// Of one that is checked already.
    pub(super) fn of(abi: &schemas::abi::Abi) -> Self {
        let items = serde_json::from_str::<Vec<AbiItem<'static>>>(abi.text()).unwrap_or_default();
        Self(items.into_iter().filter_map(|item| Some(((what_of(&item)?, signature_of(&item)), item))).collect())
    }
}

fn what_of(item: &AbiItem<'_>) -> Option<What> {
    match item {
        // Of an anonymous one no topic tells that it is one.
        AbiItem::Event(e) if !e.anonymous => Some(What::Event),
        AbiItem::Function(_) => Some(What::Function),
        _ => None,
    }
}

/// A signature that was read.
pub(super) struct Signature {
    pub canonical: Arc<str>,
    item: AbiItem<'static>,
    /// It has names, or says what is indexed.
    says_more: bool,
}

impl Signature {
    /// Reads one, with or without names and blanks.
    pub(super) fn read(what: What, text: &str) -> Result<Self, (String, &'static str)> {
        let joined = text
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace(" (", "(")
            .replace("( ", "(")
            .replace(" )", ")");
        let bare = joined.strip_prefix(what.word()).and_then(|rest| rest.strip_prefix(' ')).unwrap_or(&joined);
        let wrong = |problem: String| (format!("is no {}'s signature: {problem}", what.word()), what.example());
        let item = decode::item(&format!("{} {bare}", what.word())).map_err(wrong)?;
        let mut item = item.ok_or_else(|| wrong("it is empty".to_owned()))?;
        let says_more = match &mut item {
            AbiItem::Event(e) => {
                let e = e.to_mut();
                if e.anonymous {
                    return Err((
                        "is anonymous, so that no topic tells that it is one".to_owned(),
                        "take another event",
                    ));
                }
                e.inputs.iter_mut().for_each(whole_event);
                e.inputs.iter().any(|p| p.indexed || !p.name.is_empty())
            }
            AbiItem::Function(f) => {
                let f = f.to_mut();
                f.inputs.iter_mut().for_each(whole);
                f.inputs.iter().any(|p| !p.name.is_empty())
            }
            _ => return Err(wrong("it is something else".to_owned())),
        };
        let canonical: Arc<str> = signature_of(&item).into();
        if Shape::of(&item, true).is_none_or(|shape| !shape.is_decodable()) {
            return Err(wrong("a type in it is not one of the ABI".to_owned()));
        }
        Ok(Self { canonical, item, says_more })
    }

    /// The item of an ABI that it is.
    pub(super) fn among<'i>(&self, items: &'i Items) -> Option<&'i AbiItem<'static>> {
        items.0.get(&(what_of(&self.item)?, self.canonical.to_string()))
    }

    /// Its shape by an ABI.
    pub(super) fn by(&self, item: &AbiItem<'static>) -> Vec<Arc<Shape>> {
        Shape::of(item, true).map(Arc::new).into_iter().collect()
    }

    /// Its shapes without one: as itself says, else by the table of public signatures, else by types alone.
    pub(super) fn alone(&self) -> Vec<Arc<Shape>> {
        if self.says_more {
            return self.by(&self.item);
        }
        let mut shapes: Vec<Arc<Shape>> = Vec::new();
        let read = |word: &str, signature: &str| decode::item(&format!("{word} {signature}")).ok().flatten();
        let known: Vec<AbiItem<'static>> = match &self.item {
            AbiItem::Event(e) => {
                decode::builtin().events_of(e.selector()).filter_map(|text| read("event", text)).collect()
            }
            AbiItem::Function(f) => {
                decode::builtin().functions_of(f.selector().0).filter_map(|text| read("function", text)).collect()
            }
            _ => Vec::new(),
        };
        for item in known.iter().filter(|item| signature_of(item) == *self.canonical) {
            if let Some(shape) = Shape::of(item, true)
                && shapes.iter().all(|known| known.words != shape.words)
            {
                shapes.push(Arc::new(shape));
            }
        }
        if shapes.is_empty() {
            // A function's types tell all but the names; of an event it is not known what is indexed.
            let is_known = match &self.item {
                AbiItem::Event(e) => e.inputs.is_empty(),
                _ => true,
            };
            shapes.extend(Shape::of(&self.item, is_known).map(Arc::new));
        }
        shapes
    }
}

fn signature_of(item: &AbiItem<'_>) -> String {
    match item {
        AbiItem::Event(e) => e.signature(),
        AbiItem::Function(f) => f.signature(),
        _ => String::new(),
    }
}

/// `uint` is short for `uint256`, and `int` for `int256` (Contract ABI Specification, section Types).
fn whole_type(ty: &mut String) {
    for (short, whole) in [("uint", "uint256"), ("int", "int256")] {
        if let Some(rest) = ty.strip_prefix(short)
            && (rest.is_empty() || rest.starts_with('['))
        {
            *ty = format!("{whole}{rest}");
        }
    }
}

fn whole(param: &mut Param) {
    whole_type(&mut param.ty);
    param.components.iter_mut().for_each(whole);
}

fn whole_event(param: &mut EventParam) {
    whole_type(&mut param.ty);
    param.components.iter_mut().for_each(whole);
}
