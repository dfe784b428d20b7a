//! The dashboard is built into the binary from `dashboard/build`. The folder must exist even when it was not built yet.

fn main() -> std::io::Result<()> {
    let build = std::path::Path::new("../dashboard/build");
    std::fs::create_dir_all(build)?;
    println!("cargo:rerun-if-changed=../dashboard/build");
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}
