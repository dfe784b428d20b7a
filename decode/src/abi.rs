//! An ABI prepared for decoding.

use std::{collections::HashSet, fmt::Write, sync::Arc};

use alloy_json_abi::{AbiItem, EventParam, Param};
use alloy_primitives::{B256, keccak256};
use schemas::{Mistake, limits::decoding as limits};

use crate::{
    exact,
    lines::{self, LineError},
    types::{Fields, Unsupported},
};

/// Functions and errors by selector, events by topic 0; several may have one. What cannot be decoded (a type of a library, an empty
/// tuple) is left out, and so is what has a signature over [`limits::SIGNATURE_BYTES`].
#[derive(Debug, Clone, Default)]
pub struct Abi {
    functions: Table<[u8; 4], Callable>,
    errors: Table<[u8; 4], Callable>,
    events: Table<B256, Logged>,
    /// Their first topic is no signature's.
    pub(crate) anonymous: Vec<Logged>,
}

/// A function or a custom error.
#[derive(Debug, Clone)]
pub(crate) struct Callable {
    pub(crate) signature: Arc<str>,
    pub(crate) fields: Fields,
    /// Whether values stand side by side without padding.
    pub(crate) packed: bool,
}

impl Callable {
    /// Writes the arguments that stand behind the selector.
    #[inline]
    pub(crate) fn decode(&self, data: &[u8], out: &mut String) -> Option<()> {
        match self.packed {
            false => exact::parameters(&self.fields, data, out),
            true => exact::packed(&self.fields, data, out),
        }
    }
}

/// An event in one of its shapes.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    pub(crate) signature: Arc<str>,
    pub(crate) fields: Fields,
    pub(crate) indexed: Box<[bool]>,
    /// Topics of a log of it, the signature's too where there is one.
    pub(crate) topics: usize,
}

impl Abi {
    /// Of JSON as a compiler writes it.
    ///
    /// # Errors
    /// What [`schemas::abi::Abi::read`] objects to.
    pub fn parse(json: &str) -> Result<Self, Vec<Mistake>> {
        schemas::abi::Abi::read(json).map(|abi| Self::prepare(&abi))
    }

    /// Of one that is checked already.
    pub fn prepare(abi: &schemas::abi::Abi) -> Self {
        // It is what was checked.
        let items: Vec<AbiItem<'static>> = serde_json::from_str(abi.text()).unwrap_or_default();
        Self::of(items.iter(), false)
    }

    /// Of human-readable lines: `function transfer(address to, uint256 value)`. Empty ones and those that begin with `#` are passed over.
    ///
    /// # Errors
    /// The first line that is none.
    pub fn from_lines<'l>(lines: impl IntoIterator<Item = &'l str>) -> Result<Self, LineError> {
        Ok(Self::of(read(lines)?.iter(), false))
    }

    /// Of items that were read elsewhere.
    pub fn from_items(items: &[AbiItem<'static>]) -> Self {
        Self::of(items.iter(), false)
    }

    /// Signatures of the events with this first topic, with names and `indexed`, one for each shape.
    pub fn events_of(&self, topic: B256) -> impl Iterator<Item = &str> {
        self.events(topic).map(|it| &*it.signature)
    }

    /// Signatures of the functions with this selector, with names.
    pub fn functions_of(&self, selector: [u8; 4]) -> impl Iterator<Item = &str> {
        self.functions(selector).filter(|it| !it.packed).map(|it| &*it.signature)
    }

    /// Decodes a call by this ABI alone, whatever is appended behind the arguments: a contract does not look at it, and whoever sends it
    /// would else choose not to be seen. The arguments are appended to `out`, to which nothing is done where there is nothing.
    pub fn call_beginning_into(&self, input: &[u8], out: &mut String) -> bool {
        let Some((selector, data)) = input.split_first_chunk::<4>() else { return false };
        let mut rows = self.functions(*selector).filter(|it| !it.packed);
        rows.any(|it| crate::attempt(out, |out| exact::beginning(&it.fields, data, out).map(drop)))
    }

    /// Decodes a log by this ABI alone. The arguments are appended to `out`, to which nothing is done where there is nothing.
    pub fn event_alone_into(&self, topics: &[B256], data: &[u8], out: &mut String) -> bool {
        let Some((first, rest)) = topics.split_first() else { return false };
        let mut rows = self.events(*first).filter(|it| it.topics == topics.len());
        rows.any(|it| crate::attempt(out, |out| exact::event(&it.fields, &it.indexed, rest, data, out)))
    }

    /// Functions, events and errors of it that can be decoded.
    pub fn len(&self) -> usize {
        self.functions.rows.len() + self.errors.rows.len() + self.events.rows.len() + self.anonymous.len()
    }

    /// Whether nothing can be decoded by it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it has a function with this selector.
    pub fn has_function(&self, selector: [u8; 4]) -> bool {
        self.functions(selector).next().is_some()
    }

    /// Selectors of the functions with this name, each once.
    pub fn selectors(&self, name: &str) -> impl Iterator<Item = [u8; 4]> {
        let named = move |it: &Callable| it.signature.strip_prefix(name).is_some_and(|rest| rest.starts_with('('));
        let mut last = None;
        self.functions
            .rows
            .iter()
            .filter(move |row| named(&row.1) && last.replace(row.0) != Some(row.0))
            .map(|row| row.0)
    }

    /// The table's: with loose shapes of events, and with functions whose parameters are packed, which are none of their signature.
    pub(crate) fn table(items: &[AbiItem<'static>], packed: &[AbiItem<'static>]) -> Self {
        let mut abi = Self::of(items.iter(), true);
        for item in packed {
            let AbiItem::Function(f) = item else { continue };
            let signature = format!("{}()", f.name);
            let hash = keccak256(&signature);
            let (Some(id), Ok(fields)) = (hash.first_chunk(), Fields::of(&f.inputs, 0)) else { continue };
            abi.functions.rows.push((*id, Callable { signature: signature.into(), fields, packed: true }));
        }
        abi.functions.rows.sort_by_key(|row| row.0);
        abi
    }

    /// Of items; with `loose` also the two shapes of each event that are no guess: nothing indexed, and all indexed.
    pub(crate) fn of<'i>(items: impl Iterator<Item = &'i AbiItem<'static>> + Clone, loose: bool) -> Self {
        let mut abi = Self::default();
        for item in items.clone() {
            match item {
                AbiItem::Function(f) => {
                    let (Ok(it), id) = (callable(&f.name, &f.inputs), f.selector()) else { continue };
                    abi.functions.rows.push((id.0, it));
                }
                AbiItem::Error(e) => {
                    let (Ok(it), id) = (callable(&e.name, &e.inputs), e.selector()) else { continue };
                    abi.errors.rows.push((id.0, it));
                }
                AbiItem::Event(e) => {
                    let Ok(it) = logged(&e.name, &e.inputs, e.anonymous) else { continue };
                    match e.anonymous {
                        true => abi.anonymous.push(it),
                        false => abi.events.rows.push((e.selector(), it)),
                    }
                }
                AbiItem::Constructor(_) | AbiItem::Fallback(_) | AbiItem::Receive(_) => {}
            }
        }
        if loose {
            // A shape that the table has in words goes before.
            let mut there: HashSet<(B256, usize)> = abi.events.rows.iter().map(|(id, row)| (*id, row.topics)).collect();
            for item in items {
                let AbiItem::Event(e) = item else { continue };
                if e.anonymous || e.inputs.is_empty() {
                    continue;
                }
                let id = e.selector();
                for all in [false, true] {
                    let mut inputs = e.inputs.clone();
                    inputs.iter_mut().for_each(|p| p.indexed = all);
                    let Ok(it) = logged(&e.name, &inputs, false) else { continue };
                    let values = it.fields.each.iter().all(|field| !all || field.ty.is_value());
                    if values && it.topics <= 4 && there.insert((id, it.topics)) {
                        abi.events.rows.push((id, it));
                    }
                }
            }
        }
        // Stable: alternatives keep their order.
        abi.functions.rows.sort_by_key(|row| row.0);
        abi.errors.rows.sort_by_key(|row| row.0);
        abi.events.rows.sort_by_key(|row| row.0);
        abi
    }

    #[inline]
    pub(crate) fn functions(&self, selector: [u8; 4]) -> impl Iterator<Item = &Callable> {
        self.functions.of(selector)
    }

    #[inline]
    pub(crate) fn errors(&self, selector: [u8; 4]) -> impl Iterator<Item = &Callable> {
        self.errors.of(selector)
    }

    #[inline]
    pub(crate) fn events(&self, topic: B256) -> impl Iterator<Item = &Logged> {
        self.events.of(topic)
    }
}

/// Rows in the order of their keys, alternatives side by side.
#[derive(Debug, Clone)]
struct Table<K, V> {
    rows: Vec<(K, V)>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: Vec::new() }
    }
}

impl<K: Ord + Copy, V> Table<K, V> {
    #[inline]
    fn of(&self, key: K) -> impl Iterator<Item = &V> {
        let from = self.rows.partition_point(|row| row.0 < key);
        self.rows[from..].iter().take_while(move |row| row.0 == key).map(|row| &row.1)
    }
}

pub(crate) fn read<'l>(lines: impl IntoIterator<Item = &'l str>) -> Result<Vec<AbiItem<'static>>, LineError> {
    let mut items = Vec::new();
    for (at, line) in lines.into_iter().enumerate() {
        items.extend(lines::item(line).map_err(|problem| LineError { line: at + 1, problem })?);
    }
    Ok(items)
}

fn callable(name: &str, inputs: &[Param]) -> Result<Callable, Unsupported> {
    let mut signature = String::from(name);
    write_params(inputs.iter().map(|p| (p, false)), &mut signature);
    Ok(Callable { signature: short(signature)?, fields: Fields::of(inputs, 0)?, packed: false })
}

fn logged(name: &str, inputs: &[EventParam], anonymous: bool) -> Result<Logged, Unsupported> {
    let mut signature = String::from(name);
    signature.push('(');
    for (at, p) in inputs.iter().enumerate() {
        write_param(at, &p.ty, &p.components, p.indexed, &p.name, &mut signature);
    }
    signature.push_str(if anonymous { ") anonymous" } else { ")" });
    let indexed: Box<[bool]> = inputs.iter().map(|p| p.indexed).collect();
    let topics = indexed.iter().filter(|i| **i).count() + usize::from(!anonymous);
    Ok(Logged { signature: short(signature)?, fields: Fields::of_event(inputs)?, indexed, topics })
}

/// A signature, which is written wherever something is decoded by it.
fn short(signature: String) -> Result<Arc<str>, Unsupported> {
    if signature.len() <= limits::SIGNATURE_BYTES { Ok(signature.into()) } else { Err(Unsupported) }
}

fn write_params<'p>(params: impl Iterator<Item = (&'p Param, bool)>, out: &mut String) {
    out.push('(');
    for (at, (p, indexed)) in params.enumerate() {
        write_param(at, &p.ty, &p.components, indexed, &p.name, out);
    }
    out.push(')');
}

fn write_param(at: usize, ty: &str, components: &[Param], indexed: bool, name: &str, out: &mut String) {
    if at > 0 {
        out.push_str(", ");
    }
    match ty.strip_prefix("tuple") {
        Some(array) => {
            write_params(components.iter().map(|p| (p, false)), out);
            out.push_str(array);
        }
        None => out.push_str(ty),
    }
    if indexed {
        out.push_str(" indexed");
    }
    if !name.is_empty() {
        // Writing to a text cannot fail.
        _ = write!(out, " {name}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_too_long_a_signature_is_left_out() {
        // `E(uint8 n…, …)`: so many parameters, the last one's name as long as it takes.
        let line = |bytes: usize| {
            let others = "uint8 a, ".repeat(100);
            let rest = bytes - "event E(".len() + "event ".len() - others.len() - "uint8 )".len();
            format!("event E({others}uint8 {})", "n".repeat(rest))
        };
        for (bytes, events) in [(limits::SIGNATURE_BYTES, 1), (limits::SIGNATURE_BYTES + 1, 0)] {
            let line = line(bytes);
            assert_eq!(line.len(), bytes + "event ".len());
            assert_eq!(Abi::from_lines([&*line]).map(|abi| abi.len()).ok(), Some(events), "{bytes}");
            let function = line.replace("event ", "function ");
            assert_eq!(Abi::from_lines([&*function]).map(|abi| abi.len()).ok(), Some(events), "{bytes}");
        }
    }
}
