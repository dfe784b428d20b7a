//! A definition to a monitor.

use std::{sync::Arc, time::Duration};

use alloy_primitives::Address;
use schemas::{Mistake, limits::conditions as limits, records::Severity};
use serde_json::Value;

use super::{
    Condition, Form, Monitor, MonitorGroup, OfTransaction, Target, Template, Wait, Wanted, Watched,
    shape::{Items, Shape, Signature, What},
};
use crate::{
    expression::{Expression, OverTransaction, Scope, Wrong},
    fields::{Fields, ended, kind, shown},
    party::{CURE, Party},
    routing::{self, SEVERITIES},
    rule::{group_by, networks},
};

const NONE: Duration = Duration::ZERO;

/// Addresses by their ABIs, each of which is read once; last those without one.
type Places = Vec<(Option<Items>, Vec<Address>)>;

pub(super) fn read(definition: &Value) -> Result<Monitor, Vec<Mistake>> {
    let mut f = Fields::of(definition);
    let name = f.name();
    let paused = f.flag("paused", false);
    let severity = f.word("severity", &SEVERITIES).unwrap_or(Severity::Warning);
    let networks = networks(&mut f);
    let (addresses, places) = addresses(&mut f);
    let (mut functions, mut events, mut transactions) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(mut inner) = f.object("match_conditions") {
        functions = conditions(&mut inner, "functions", What::Function, &places);
        events = conditions(&mut inner, "events", What::Event, &places);
        transactions = of_transactions(&mut inner);
        let count = functions.len() + events.len() + transactions.len();
        if count > limits::CONDITIONS {
            let path = f.path("match_conditions");
            let cure = format!("write at most {}, or make several monitors of it", limits::CONDITIONS);
            inner.tell(Mistake::new(path, format!("has {count} conditions"), cure));
        }
        f.tell_all(inner.end());
    }
    let group_by = group_by(&mut f, &MonitorGroup::WORDS, &[MonitorGroup::Monitor, MonitorGroup::Contract]);
    let cooldown = f.span("cooldown", NONE, limits::LONGEST).unwrap_or(NONE);
    let wait = wait(&mut f);
    let channels = routing::channels(&mut f);
    let routes = routing::routes(&mut f);
    let escalate = routing::escalate(&mut f);
    let template = template(&mut f);
    let monitor = Monitor {
        name,
        paused,
        severity,
        networks,
        addresses,
        functions,
        events,
        transactions,
        group_by,
        cooldown,
        wait,
        channels,
        routes,
        escalate,
        template,
    };
    if let Some(family) = monitor.family() {
        f.tell_all(monitor.conditions_wrong_on(family));
    }
    let count = monitor.places();
    if count > limits::PLACES {
        let cure = format!("make several monitors of it: networks × addresses × conditions may be {}", limits::PLACES);
        f.mistake("addresses", format!("makes {count} places to look at"), cure);
    }
    ended(f, Some(monitor))
}

fn wait(f: &mut Fields<'_>) -> Option<Wait> {
    match f.value("wait")? {
        Value::String(word) if word == "finalized" => Some(Wait::Finalized),
        Value::Number(number) if number.as_u64().is_some_and(|n| n <= limits::WAIT_BLOCKS) => {
            number.as_u64().filter(|n| *n > 0).map(Wait::Blocks)
        }
        other => {
            let cure = format!("write \"finalized\", a number of blocks of at most {}, or null", limits::WAIT_BLOCKS);
            f.mistake("wait", format!("is {}", shown(other)), cure);
            None
        }
    }
}

pub(super) fn template(f: &mut Fields<'_>) -> Option<Template> {
    let mut inner = f.object("template")?;
    let title = inner.text("title", limits::TEMPLATE_CHARACTERS.0);
    let body = inner.text("body", limits::TEMPLATE_CHARACTERS.1);
    let read = ended(inner, Some(Template { title, body }));
    f.part(read)
}

fn addresses(f: &mut Fields<'_>) -> (Vec<Watched>, Places) {
    let mut addresses = Vec::<Watched>::new();
    let mut known: Vec<(Arc<schemas::abi::Abi>, Vec<Address>)> = Vec::new();
    let mut without = Vec::new();
    for (at, value) in f.list("addresses", limits::ADDRESSES).iter().enumerate() {
        let path = f.path(&format!("addresses.{at}"));
        let mut inner = Fields::at(value, path.clone());
        inner.wanted("address", CURE);
        let found = inner.text("address", limits::ADDRESS_CHARACTERS).and_then(|text| {
            let found = Party::read(&text);
            if found.is_none() {
                inner.mistake("address", format!("is `{text}`"), CURE);
            }
            found
        });
        let key = if inner.has("abi") { "abi" } else { "contract_spec" };
        let both = inner.has("abi") && inner.has("contract_spec");
        if both {
            inner.mistake("contract_spec", "stands beside `abi`", "leave one of the two out");
        }
        let (abi, spec) = (inner.value("abi"), inner.value("contract_spec"));
        let read = abi.or(spec).map(schemas::abi::Abi::of);
        let abi = match read {
            None => None,
            Some(Ok(abi)) => Some(abi),
            Some(Err(mistakes)) => {
                for mistake in mistakes {
                    let rest = mistake.path.strip_prefix("abi").unwrap_or_default();
                    let path = format!("{path}.{key}{rest}");
                    inner.tell(Mistake { path, ..mistake });
                }
                None
            }
        };
        if let Some(address) = &found {
            let first = addresses.first();
            if addresses.iter().any(|known| known.address == *address) {
                inner.mistake("address", "is there twice", "leave one of the two out");
            } else if first.is_some_and(|first| first.address.family() != address.family()) {
                inner.mistake("address", "is of another family than the first one", "make a monitor for each family");
            }
            if abi.is_some() && address.evm().is_none() {
                inner.mistake(key, "stands beside a Bitcoin address, where no contract is", "leave it out");
            }
        }
        f.tell_all(inner.end());
        let Some(party) = found else { continue };
        let Some(address) = party.evm() else {
            addresses.push(Watched { address: party, abi: None });
            continue;
        };
        let abi = match abi {
            None => {
                without.push(address);
                None
            }
            Some(abi) => match known.iter_mut().find(|(same, _)| **same == abi) {
                Some((same, here)) => {
                    here.push(address);
                    Some(same.clone())
                }
                None => {
                    let abi = Arc::new(abi);
                    known.push((abi.clone(), vec![address]));
                    Some(abi)
                }
            },
        };
        addresses.push(Watched { address: party, abi });
    }
    let bytes: usize = known.iter().map(|(abi, _)| abi.text().len()).sum();
    if bytes > limits::ABI_BYTES {
        let cure = format!("leave out what you do not need: at most {} bytes", limits::ABI_BYTES);
        f.mistake("addresses", format!("has {bytes} bytes of ABIs"), cure);
    }
    let mut places: Places = known.into_iter().map(|(abi, here)| (Some(Items::of(&abi)), here)).collect();
    if !without.is_empty() {
        places.push((None, without));
    }
    (addresses, places)
}

fn conditions(f: &mut Fields<'_>, key: &'static str, what: What, places: &Places) -> Vec<Condition> {
    let mut conditions = Vec::new();
    for (at, value) in f.list(key, limits::CONDITIONS).iter().enumerate() {
        let mut inner = Fields::at(value, f.path(&format!("{key}.{at}")));
        inner.wanted("signature", "write which: `Transfer(address,address,uint256)`");
        let signature = inner.text("signature", limits::SIGNATURE_CHARACTERS);
        let text = expression_text(&mut inner);
        let read = signature.as_deref().map(|text| Signature::read(what, text));
        match (signature, read) {
            (Some(signature), Some(Ok(read))) => match forms(&read, text, places) {
                Ok(forms) => {
                    let expression = text.map(str::to_owned);
                    conditions.push(Condition { signature, canonical: read.canonical, expression, forms });
                }
                Err(wrong) => tell(&mut inner, wrong),
            },
            (_, Some(Err((problem, cure)))) => inner.mistake("signature", problem, cure),
            _ => {}
        }
        f.tell_all(inner.end());
    }
    conditions
}

/// `expression`: a text, with whatever blanks.
fn expression_text<'v>(f: &mut Fields<'v>) -> Option<&'v str> {
    let value = f.value("expression")?;
    if !value.is_string() {
        f.mistake("expression", format!("is {}", kind(value)), "write a text: \"value > 1000\"");
    }
    value.as_str()
}

/// A mistake in an expression, at its character.
fn tell(f: &mut Fields<'_>, wrong: Wrong) {
    let path = f.path("expression");
    f.tell(Mistake::new(path, wrong.problem, wrong.cure).at(wrong.position));
}

/// What a condition is put to: at each address as its ABI has the signature; where it has it not, or there are no ABIs that do, as the
/// signature itself or the table of public signatures does.
fn forms(signature: &Signature, text: Option<&str>, of_abis: &Places) -> Result<Vec<Form>, Wrong> {
    let mut places: Vec<(Target, Vec<Arc<Shape>>)> = Vec::new();
    let mut without = Vec::new();
    let mut any_item = None;
    for (abi, here) in of_abis {
        let Some(abi) = abi else {
            without.extend(here.iter().copied());
            continue;
        };
        let Some(item) = signature.among(abi) else { continue };
        any_item = Some(item);
        for shape in signature.by(item) {
            let is_same = |shapes: &[Arc<Shape>]| shapes.iter().any(|known| known.words == shape.words);
            match places.iter_mut().find(|(_, shapes)| is_same(shapes)) {
                Some((Target::At(addresses), _)) => addresses.extend(here.iter().copied()),
                _ => places.push((Target::At(here.clone()), vec![shape])),
            }
        }
    }
    match any_item {
        // None of the ABIs has it: they may be those of proxies.
        None if !of_abis.is_empty() => {
            let all = of_abis.iter().flat_map(|(_, here)| here.iter().copied());
            places.push((Target::At(all.collect()), signature.alone()));
        }
        None => places.push((Target::Everywhere, signature.alone())),
        Some(item) if !without.is_empty() => places.push((Target::At(without), signature.by(item))),
        Some(_) => {}
    }
    let mut forms = Vec::new();
    for (target, shapes) in places {
        let mut wrong = None;
        let before = forms.len();
        for shape in shapes {
            let expression = match text {
                None => Ok(None),
                Some(text) => expression(text, &shape).map(|expression| Some(Arc::new(expression))),
            };
            match expression {
                Ok(expression) => forms.push(Form { target: target.clone(), shape, expression }),
                Err(e) => wrong = wrong.or(Some(e)),
            }
        }
        if forms.len() == before
            && let Some(wrong) = wrong
        {
            return Err(wrong);
        }
    }
    Ok(forms)
}

fn expression(text: &str, shape: &Shape) -> Result<Expression, Wrong> {
    if !shape.is_decodable() {
        return Err(Wrong {
            position: 0,
            problem: format!("cannot be put to `{}`: which of its parameters are indexed is not known", shape.canonical),
            cure: "give the `abi` of an address, or write the signature with names: `Moved(address indexed who, uint256 amount)`".to_owned(),
        });
    }
    Expression::parse(text, Scope::Parameters(&shape.parameters))
}

fn of_transactions(f: &mut Fields<'_>) -> Vec<OfTransaction> {
    let mut conditions = Vec::new();
    for (at, value) in f.list("transactions", limits::CONDITIONS).iter().enumerate() {
        let mut inner = Fields::at(value, f.path(&format!("transactions.{at}")));
        let status = inner.word("status", &Wanted::WORDS).unwrap_or(Wanted::Any);
        let expression = match expression_text(&mut inner).map(OverTransaction::parse) {
            None => None,
            Some(Ok(expression)) => Some(Arc::new(expression)),
            Some(Err(wrong)) => {
                tell(&mut inner, wrong);
                None
            }
        };
        conditions.push(OfTransaction { status, expression });
        f.tell_all(inner.end());
    }
    conditions
}
