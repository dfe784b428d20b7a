//! Values that expressions speak of, and their kinds.

use alloy_json_abi::{EventParam, Param};
use alloy_primitives::U256;
use serde_json::Value as Json;

use super::eval::{Place, Seen, Variables};
use crate::number::Number;

/// What a variable is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// An integer.
    Number,
    /// True or false.
    Flag,
    /// Bytes, of so many where that is fixed; an address is 20.
    Bytes(Option<usize>),
    /// Text.
    Text,
    /// Any number of one kind.
    List(Box<Kind>),
    /// Members, by name; those without one by position.
    Tuple(Vec<(String, Kind)>),
}

impl Kind {
    /// Of a parameter's type as JSON ABIs write it.
    pub fn of(ty: &str, components: &[Param]) -> Self {
        if let Some((inner, _)) = ty.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
            return Self::List(Box::new(Self::of(inner, components)));
        }
        match ty {
            "address" => Self::Bytes(Some(20)),
            "bool" => Self::Flag,
            "string" => Self::Text,
            "bytes" => Self::Bytes(None),
            "function" => Self::Bytes(Some(24)),
            "tuple" => {
                let each = components.iter().map(|p| (p.name.as_str(), Self::of(&p.ty, &p.components)));
                Self::Tuple(named(each))
            }
            other => match other.strip_prefix("bytes").and_then(|n| n.parse().ok()) {
                Some(n) => Self::Bytes(Some(n)),
                None => Self::Number,
            },
        }
    }

    /// Those of a function's parameters.
    pub fn of_parameters(params: &[Param]) -> Vec<(String, Self)> {
        named(params.iter().map(|p| (p.name.as_str(), Self::of(&p.ty, &p.components))))
    }

    /// Those of an event's: of an indexed one that is no value type the hash is all that the log has.
    pub fn of_event(params: &[EventParam]) -> Vec<(String, Self)> {
        named(params.iter().map(|p| {
            let kind = match Self::of(&p.ty, &p.components) {
                Self::Text | Self::List(_) | Self::Tuple(_) | Self::Bytes(None) if p.indexed => Self::Bytes(Some(32)),
                kind => kind,
            };
            (p.name.as_str(), kind)
        }))
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Number => "a number".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Bytes(Some(20)) => "an address".to_owned(),
            Self::Bytes(Some(n)) => format!("{n} bytes"),
            Self::Bytes(None) => "bytes".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Tuple(_) => "a tuple".to_owned(),
        }
    }
}

/// Names as the decoder writes them: by position where there is none, or another one had it before.
fn named<'p>(params: impl Iterator<Item = (&'p str, Kind)>) -> Vec<(String, Kind)> {
    let mut names: Vec<(String, Kind)> = Vec::new();
    let mut given: Vec<&str> = Vec::new();
    for (at, (name, kind)) in params.enumerate() {
        let is_new = !name.is_empty() && !given.contains(&name);
        given.push(name);
        names.push((if is_new { name.to_owned() } else { at.to_string() }, kind));
    }
    names
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// An integer that is not negative, as most are.
    Whole(U256),
    /// Any other number.
    Number(Box<Number>),
    /// True or false.
    Flag(bool),
    /// Bytes; an address too.
    Bytes(Box<[u8]>),
    /// Text.
    Text(Box<str>),
    /// A list's elements or a tuple's members.
    List(Vec<Value>),
    /// What is not of its kind.
    Unknown,
}

impl Value {
    /// Of JSON as the decoder writes it: integers as decimal texts, bytes as hex.
    pub fn of(json: &Json, kind: &Kind) -> Self {
        let text = json.as_str();
        let value = match kind {
            Kind::Number => text.and_then(|text| match U256::from_str_radix(text, 10) {
                Ok(number) => Some(Self::Whole(number)),
                Err(_) => Number::read(text).map(Self::number),
            }),
            Kind::Flag => json.as_bool().map(Self::Flag),
            Kind::Bytes(_) => text.and_then(|text| const_hex::decode(text).ok()).map(|bytes| Self::Bytes(bytes.into())),
            Kind::Text => text.map(|text| Self::Text(text.into())),
            Kind::List(inner) => {
                json.as_array().map(|list| Self::List(list.iter().map(|json| Self::of(json, inner)).collect()))
            }
            Kind::Tuple(members) => json.as_object().map(|object| {
                let each = members.iter().map(|(name, kind)| object.get(name).map(|json| Self::of(json, kind)));
                Self::List(each.map(|value| value.unwrap_or(Self::Unknown)).collect())
            }),
        };
        value.unwrap_or(Self::Unknown)
    }

    /// A number in its one form.
    pub(super) fn number(number: Number) -> Self {
        number.unsigned().map_or_else(|| Self::Number(Box::new(number)), Self::Whole)
    }

    /// What stands at a path through lists and tuples; the list itself where there are no steps.
    pub(super) fn within<'v>(list: &'v [Self], steps: &[usize]) -> Option<Seen<'v>> {
        let Some((first, rest)) = steps.split_first() else { return Some(Seen::List(list)) };
        let mut value = list.get(*first)?;
        for step in rest {
            let Self::List(list) = value else { return None };
            value = list.get(*step)?;
        }
        value.seen()
    }

    pub(super) fn seen(&self) -> Option<Seen<'_>> {
        Some(match self {
            Self::Whole(number) => Seen::Whole(*number),
            Self::Number(number) => Seen::Number(**number),
            Self::Flag(flag) => Seen::Flag(*flag),
            Self::Bytes(bytes) => Seen::Bytes(bytes),
            Self::Text(text) => Seen::Text(text),
            Self::List(list) => Seen::List(list),
            Self::Unknown => return None,
        })
    }
}

/// Arguments of an event or a call, in the order of its parameters.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Arguments(Vec<Value>);

impl Arguments {
    /// Of a JSON object as the decoder writes it.
    pub fn of(json: &str, parameters: &[(String, Kind)]) -> Self {
        let object = serde_json::from_str::<Json>(json).unwrap_or_default();
        let value =
            |(name, kind): &(String, Kind)| object.get(name).map_or(Value::Unknown, |json| Value::of(json, kind));
        Self(parameters.iter().map(value).collect())
    }
}

impl Variables for Arguments {
    fn get(&self, place: &Place) -> Option<Seen<'_>> {
        match (self.0.get(place.root)?, &*place.steps) {
            (Value::List(list), steps) => Value::within(list, steps),
            (value, []) => value.seen(),
            _ => None,
        }
    }
}
