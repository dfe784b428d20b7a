//! Exports from the program that runs the engine what `src/engine/unseen.rs` has for it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu") {
        println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol=__xstat");
    }
}
