//! An ABI as Solidity's compiler writes it (Contract ABI Specification, section JSON), checked whole.
//!
//! Guarantee: what is taken can be used: every item has a known type, every parameter a type that can be decoded, and no two functions
//! or errors have one selector. What is not is refused with the path of the smallest part that is wrong.

use alloy_json_abi::{AbiItem, EventParam, Param};
use serde_json::Value;

use crate::{limits::control as limits, mistake::Mistake};

/// A good one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abi {
    text: String,
    names: Vec<Named>,
}

/// What a name in it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A function; found by its selector.
    Function,
    /// An event; found by its first topic.
    Event,
    /// A custom error; found by its selector.
    Error,
}

/// Something that an ABI names.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Named {
    /// What it is.
    pub what: What,
    /// Its signature: `transfer(address,uint256)`.
    pub signature: String,
    /// Selector (4 bytes) or topic (32 bytes), as hex.
    pub id: String,
}

const ITEMS: [&str; 6] = ["function", "event", "error", "constructor", "fallback", "receive"];

impl Abi {
    /// Reads a text, such as an uploaded file: JSON, an array or what a compiler wraps around it (`{"abi": […]}`).
    ///
    /// # Errors
    /// Every mistake, at most 20; of a text that is no JSON line and column.
    pub fn read(text: &str) -> Result<Self, Vec<Mistake>> {
        if text.len() > limits::ABI_FILE_BYTES {
            return Err(vec![too_large(text.len())]);
        }
        let mut value: Value = serde_json::from_str(text).map_err(|e| {
            let path = format!("line {}, column {}", e.line(), e.column());
            vec![Mistake::new(path, format!("is not JSON: {e}"), "upload the JSON that the compiler wrote")]
        })?;
        match value.get_mut("abi") {
            Some(inner) => Self::of(&inner.take()),
            None => Self::of(&value),
        }
    }

    /// Takes a value.
    ///
    /// # Errors
    /// Every mistake, at most 20, each with its path.
    pub fn of(value: &Value) -> Result<Self, Vec<Mistake>> {
        let cure = "send the array that the compiler wrote; of an artifact, what stands under `abi`";
        let Value::Array(items) = value else {
            return Err(vec![Mistake::new("abi", "is not an array", cure)]);
        };
        let text = value.to_string();
        if text.len() > limits::ABI_BYTES {
            return Err(vec![too_large(text.len())]);
        }
        if items.len() > limits::ABI_ITEMS {
            let cure = format!("leave out what you do not need: at most {} items", limits::ABI_ITEMS);
            return Err(vec![Mistake::new("abi", format!("has {} items", items.len()), cure)]);
        }
        let mut mistakes = Vec::new();
        let mut names: Vec<Named> = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let path = format!("abi.{i}");
            let before = mistakes.len();
            check_item(&path, item, &mut mistakes);
            if mistakes.len() >= limits::MISTAKES {
                mistakes.truncate(limits::MISTAKES);
                break;
            }
            if mistakes.len() > before {
                continue;
            }
            match serde_json::from_value::<AbiItem<'static>>(item.clone()) {
                Ok(item) => {
                    let Some(named) = named(&item) else { continue };
                    match names.iter().find(|n| n.what == named.what && n.id == named.id) {
                        Some(other) => {
                            let problem = match other.signature == named.signature {
                                true => format!("`{}` is there twice", named.signature),
                                false => format!("has the selector of `{}`", other.signature),
                            };
                            mistakes.push(Mistake::new(path, problem, "leave one of the two out"));
                        }
                        None => names.push(named),
                    }
                }
                Err(e) => mistakes.push(Mistake::new(path, format!("cannot be read: {e}"), cure_of_item())),
            }
        }
        if mistakes.is_empty() { Ok(Self { text, names }) } else { Err(mistakes) }
    }

    /// As compact JSON.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it names, in its order.
    pub fn names(&self) -> &[Named] {
        &self.names
    }
}

fn too_large(bytes: usize) -> Mistake {
    let cure = format!("leave out what you do not need: at most {} bytes", limits::ABI_BYTES);
    Mistake::new("abi", format!("has {bytes} bytes"), cure)
}

fn cure_of_item() -> &'static str {
    "send it as the compiler wrote it"
}

fn named(item: &AbiItem<'_>) -> Option<Named> {
    let hex = |bytes: &[u8]| const_hex::encode_prefixed(bytes);
    Some(match item {
        AbiItem::Function(f) => Named { what: What::Function, signature: f.signature(), id: hex(&f.selector()[..]) },
        AbiItem::Event(e) => Named { what: What::Event, signature: e.signature(), id: hex(&e.selector()[..]) },
        AbiItem::Error(e) => Named { what: What::Error, signature: e.signature(), id: hex(&e.selector()[..]) },
        _ => return None,
    })
}

/// Looks for the smallest part of an item that is wrong.
fn check_item(path: &str, item: &Value, mistakes: &mut Vec<Mistake>) {
    let Value::Object(object) = item else {
        return mistakes.push(Mistake::new(path, "is not an object", cure_of_item()));
    };
    let kinds = || format!("write one of: {}", ITEMS.join(", "));
    let kind = match object.get("type") {
        Some(Value::String(kind)) if ITEMS.contains(&kind.as_str()) => kind.as_str(),
        Some(Value::String(kind)) => {
            let kind: String = kind.chars().take(80).collect();
            return mistakes.push(Mistake::new(format!("{path}.type"), format!("`{kind}` is not known"), kinds()));
        }
        Some(_) => return mistakes.push(Mistake::new(format!("{path}.type"), "is not a text", kinds())),
        None => return mistakes.push(Mistake::new(format!("{path}.type"), "is missing", kinds())),
    };
    if matches!(kind, "function" | "event" | "error") {
        match object.get("name") {
            Some(Value::String(name)) if is_identifier(name) => {}
            Some(Value::String(_)) => {
                let cure = "write letters, digits, _ and $, not starting with a digit";
                mistakes.push(Mistake::new(format!("{path}.name"), "is no name that Solidity allows", cure));
            }
            Some(_) => mistakes.push(Mistake::new(format!("{path}.name"), "is not a text", cure_of_item())),
            None => mistakes.push(Mistake::new(format!("{path}.name"), "is missing", cure_of_item())),
        }
    }
    for list in ["inputs", "outputs"] {
        match object.get(list) {
            None if list == "inputs" && matches!(kind, "function" | "event" | "error") => {
                mistakes.push(Mistake::new(format!("{path}.inputs"), "is missing", "write `[]` where there are none"));
            }
            None => {}
            Some(Value::Array(params)) => {
                let event = kind == "event" && list == "inputs";
                for (i, param) in params.iter().enumerate() {
                    check_param(&format!("{path}.{list}.{i}"), param, event, 0, mistakes);
                }
            }
            Some(_) => mistakes.push(Mistake::new(format!("{path}.{list}"), "is not an array", cure_of_item())),
        }
    }
}

fn check_param(path: &str, param: &Value, event: bool, depth: usize, mistakes: &mut Vec<Mistake>) {
    if mistakes.len() >= limits::MISTAKES {
        return;
    }
    let Value::Object(object) = param else {
        return mistakes.push(Mistake::new(path, "is not an object", cure_of_item()));
    };
    if depth > limits::ABI_DEPTH {
        let cure = format!("tuples may nest {} deep", limits::ABI_DEPTH);
        return mistakes.push(Mistake::new(path, "is nested too deep", cure));
    }
    let Some(Value::String(kind)) = object.get("type") else {
        let problem = if object.contains_key("type") { "is not a text" } else { "is missing" };
        return mistakes.push(Mistake::new(format!("{path}.type"), problem, "write a type such as `uint256`"));
    };
    let before = mistakes.len();
    if let Some(Value::String(name)) = object.get("name")
        && name.len() > limits::ABI_NAME_BYTES
    {
        let cure = format!("shorten it: at most {} bytes", limits::ABI_NAME_BYTES);
        mistakes.push(Mistake::new(format!("{path}.name"), format!("has {} bytes", name.len()), cure));
    }
    if let Some(Value::Array(components)) = object.get("components") {
        for (i, component) in components.iter().enumerate() {
            check_param(&format!("{path}.components.{i}"), component, false, depth + 1, mistakes);
        }
    }
    if mistakes.len() > before {
        return;
    }
    // First what names the smallest part.
    if !decodable(kind, object.contains_key("components")) {
        let kind: String = kind.chars().take(80).collect();
        let cure = "write an elementary type (uint256, address, bytes32, string, …), an array of one, or `tuple` with its `components`";
        return mistakes.push(Mistake::new(format!("{path}.type"), format!("`{kind}` is not a type of the ABI"), cure));
    }
    let read = match event {
        true => serde_json::from_value::<EventParam>(param.clone()).map(drop),
        false => serde_json::from_value::<Param>(param.clone()).map(drop),
    };
    if let Err(e) = read {
        mistakes.push(Mistake::new(path, format!("cannot be read: {e}"), cure_of_item()));
    }
}

/// Whether a type can be decoded (Contract ABI Specification, section Types). Alloy's parser also takes names that a later step would
/// look up, such as a struct's.
fn decodable(kind: &str, components: bool) -> bool {
    let base = kind.split('[').next().unwrap_or_default();
    let arrays = kind[base.len()..].split_inclusive(']').all(|part| {
        let size = part.strip_prefix('[').and_then(|p| p.strip_suffix(']'));
        size.is_some_and(|s| s.is_empty() || s.len() <= 9 && s.bytes().all(|b| b.is_ascii_digit()) && s != "0")
    });
    let number = |text: &str| (!text.starts_with('0')).then(|| text.parse::<u16>().ok()).flatten();
    let bits = |text: &str| text.is_empty() || number(text).is_some_and(|n| n % 8 == 0 && (8..=256).contains(&n));
    let good = match base {
        "address" | "bool" | "string" | "bytes" | "function" => !components,
        "tuple" => components,
        _ => match (base.strip_prefix("uint"), base.strip_prefix("int"), base.strip_prefix("bytes")) {
            (Some(n), ..) | (_, Some(n), _) => bits(n) && !components,
            (.., Some(n)) => number(n).is_some_and(|n| (1..=32).contains(&n)) && !components,
            // `fixed128x18` is in the specification and in no compiler.
            _ => false,
        },
    };
    good && arrays
}

fn is_identifier(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'$';
    let short = name.len() <= limits::ABI_NAME_BYTES;
    short && !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn erc20() -> Value {
        json!([
            {"type": "function", "name": "transfer", "stateMutability": "nonpayable",
             "inputs": [{"name": "to", "type": "address"}, {"name": "amount", "type": "uint256"}],
             "outputs": [{"name": "", "type": "bool"}]},
            {"type": "event", "name": "Transfer", "anonymous": false, "inputs": [
                {"name": "from", "type": "address", "indexed": true}, {"name": "to", "type": "address", "indexed": true},
                {"name": "value", "type": "uint256", "indexed": false}]},
            {"type": "error", "name": "Bad", "inputs": [{"name": "p", "type": "tuple[2][]", "components": [
                {"name": "a", "type": "uint8"}, {"name": "b", "type": "bytes32"}]}]},
            {"type": "constructor", "inputs": [], "stateMutability": "nonpayable"},
            {"type": "receive", "stateMutability": "payable"}
        ])
    }

    #[test]
    fn says_what_it_names() {
        let abi = Abi::of(&erc20()).unwrap();
        let names: Vec<(&str, &str)> = abi.names().iter().map(|n| (n.signature.as_str(), n.id.as_str())).collect();
        assert_eq!(
            names,
            [
                ("transfer(address,uint256)", "0xa9059cbb"),
                (
                    "Transfer(address,address,uint256)",
                    "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
                ),
                ("Bad((uint8,bytes32)[2][])", abi.names()[2].id.as_str()),
            ]
        );
        assert_eq!(serde_json::from_str::<Value>(abi.text()).unwrap(), erc20());
        let wrapped = json!({"abi": erc20(), "bytecode": "0x"}).to_string();
        assert_eq!(Abi::read(&wrapped).unwrap().names(), abi.names());
    }

    #[test]
    fn each_mistake_has_its_path() {
        let change = |pointer: &str, to: Value| {
            let mut abi = erc20();
            *abi.pointer_mut(pointer).unwrap() = to;
            Abi::of(&abi).unwrap_err().remove(0)
        };
        for (pointer, to, path, words) in [
            ("/0/inputs/1/type", json!("uint7"), "abi.0.inputs.1.type", "uint7"),
            ("/0/inputs/1/type", json!("uint256[0]"), "abi.0.inputs.1.type", "uint256[0]"),
            ("/0/inputs/1/type", json!(7), "abi.0.inputs.1.type", "not a text"),
            ("/0/inputs/1", json!({"name": "x"}), "abi.0.inputs.1.type", "missing"),
            ("/0/inputs/1", json!("uint256"), "abi.0.inputs.1", "not an object"),
            ("/0/inputs/1/type", json!("tuple"), "abi.0.inputs.1.type", "tuple"),
            ("/0/inputs/1/type", json!("MyStruct"), "abi.0.inputs.1.type", "MyStruct"),
            ("/0/inputs", json!({}), "abi.0.inputs", "not an array"),
            ("/0/name", json!("1x"), "abi.0.name", "no name"),
            ("/0/type", json!("func"), "abi.0.type", "`func` is not known"),
            ("/1/inputs/0/indexed", json!("yes"), "abi.1.inputs.0", "cannot be read"),
            ("/2/inputs/0/components/1/type", json!("bytes33"), "abi.2.inputs.0.components.1.type", "bytes33"),
            ("/0/stateMutability", json!("maybe"), "abi.0", "cannot be read"),
            ("/1", json!(null), "abi.1", "not an object"),
            ("/3", erc20()[0].clone(), "abi.3", "there twice"),
        ] {
            let mistake = change(pointer, to.clone());
            assert_eq!(mistake.path, path, "{pointer} {to}: {mistake:?}");
            assert!(mistake.problem.contains(words) && !mistake.cure.is_empty(), "{mistake:?}");
        }
        let e = Abi::read("[\n  {,]").unwrap_err();
        assert_eq!(e[0].path, "line 2, column 4");
        assert_eq!(Abi::of(&json!({"x": 1})).unwrap_err()[0].problem, "is not an array");
        // Two names with one selector, as are known.
        let burn = json!({"type": "function", "name": "burn", "outputs": [], "stateMutability": "view",
            "inputs": [{"name": "", "type": "uint256"}]});
        let collate = json!({"type": "function", "name": "collate_propagate_storage", "outputs": [], "stateMutability": "view",
            "inputs": [{"name": "", "type": "bytes16"}]});
        let e = Abi::of(&json!([burn, collate])).unwrap_err();
        assert!(e[0].problem.contains("has the selector of `burn(uint256)`"), "{e:?}");
    }

    #[test]
    fn sizes_have_limits() {
        let item = |i: usize| json!({"type": "error", "name": format!("E{i}"), "inputs": []});
        let many: Vec<Value> = (0..=limits::ABI_ITEMS).map(item).collect();
        assert!(Abi::of(&json!(many)).unwrap_err()[0].problem.contains("items"));
        assert!(Abi::of(&json!(many[1..])).is_ok());
        let long = json!([{"type": "error", "name": "E", "inputs": [], "x": "y".repeat(limits::ABI_BYTES)}]);
        assert!(Abi::of(&long).unwrap_err()[0].problem.contains("bytes"));
        assert!(Abi::read(&long.to_string()).unwrap_err()[0].problem.contains("bytes"));
        let mut param = json!({"name": "p", "type": "uint8"});
        for _ in 0..limits::ABI_DEPTH + 1 {
            param = json!({"name": "p", "type": "tuple", "components": [param]});
        }
        let deep = json!([{"type": "error", "name": "E", "inputs": [param]}]);
        assert!(Abi::of(&deep).unwrap_err()[0].problem.contains("too deep"));
        let named = |bytes: usize| {
            let name = "n".repeat(bytes);
            let component = json!([{"name": name, "type": "uint8"}]);
            json!([{"type": "event", "name": "E", "anonymous": false, "inputs": [
                {"name": name, "type": "uint8", "indexed": true},
                {"name": "t", "type": "tuple", "indexed": false, "components": component}]}])
        };
        assert!(Abi::of(&named(limits::ABI_NAME_BYTES)).is_ok());
        let mistakes = Abi::of(&named(limits::ABI_NAME_BYTES + 1)).unwrap_err();
        let paths: Vec<_> = mistakes.iter().map(|m| (m.path.as_str(), m.problem.as_str())).collect();
        assert_eq!(
            paths,
            [("abi.0.inputs.0.name", "has 257 bytes"), ("abi.0.inputs.1.components.0.name", "has 257 bytes")]
        );
        let wrong: Vec<Value> = (0..100).map(|_| json!(1)).collect();
        assert_eq!(Abi::of(&json!(wrong)).unwrap_err().len(), limits::MISTAKES);
    }
}
