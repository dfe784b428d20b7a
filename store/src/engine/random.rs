//! Random numbers, from the kernel.

/// So many random bytes, in hex.
pub(super) fn hex<const BYTES: usize>() -> std::io::Result<String> {
    const { assert!(BYTES <= 256, "what the kernel gives whole (getrandom(2))") };
    let mut bytes = [0u8; BYTES];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(const_hex::encode(bytes))
}
