//! Packs `data/evm/<chain>/` into one compressed file per chain, so that `headwater demo` needs nothing beside its binary.

use flate2::{Compression, write::GzEncoder};
use std::{env, fmt::Write as _, fs, io::Write as _, path::PathBuf};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let data = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("data/evm");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo:rerun-if-changed={}", data.display());
    let mut table = String::from("/// Name and content of each built-in data set: gzip of one JSON object a line.\n");
    table.push_str("static EMBEDDED: &[(&str, &[u8])] = &[\n");
    for chain in sorted(&data)? {
        let name = chain.file_name().ok_or("no name")?.to_string_lossy().into_owned();
        let mut blocks: Vec<(u64, PathBuf)> = Vec::new();
        for block in sorted(&chain)? {
            let number = block.file_name().ok_or("no name")?.to_string_lossy().parse()?;
            blocks.push((number, block));
        }
        blocks.sort();
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        for (number, folder) in blocks {
            let block = compact(&fs::read_to_string(folder.join("block.json"))?);
            let receipts = compact(&fs::read_to_string(folder.join("receipts.json"))?);
            let traces = folder.join("traces_failed.json");
            let traces = match traces.is_file() {
                true => format!(r#","traces":{}"#, compact(&fs::read_to_string(traces)?)),
                false => String::new(),
            };
            writeln!(packed, r#"{{"number":{number},"block":{block},"receipts":{receipts}{traces}}}"#)?;
        }
        fs::write(out.join(format!("{name}.ndjson.gz")), packed.finish()?)?;
        writeln!(table, r#"    ("{name}", include_bytes!(concat!(env!("OUT_DIR"), "/{name}.ndjson.gz"))),"#)?;
    }
    table.push_str("];\n");
    fs::write(out.join("embedded.rs"), table)?;
    Ok(())
}

fn sorted(folder: &PathBuf) -> Result<Vec<PathBuf>> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    entries.retain(|path| path.is_dir());
    entries.sort();
    Ok(entries)
}

/// Without the white space outside strings: what is left stands on one line.
fn compact(json: &str) -> String {
    let (mut out, mut quoted, mut escaped) = (String::with_capacity(json.len()), false, false);
    for c in json.chars() {
        if quoted || !c.is_ascii_whitespace() {
            out.push(c);
        }
        if quoted && !escaped && c == '\\' {
            escaped = true;
            continue;
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = false;
    }
    out
}
