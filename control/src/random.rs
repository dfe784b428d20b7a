//! Random numbers, from the kernel.

/// So many random bytes.
pub(crate) fn bytes<const BYTES: usize>() -> std::io::Result<[u8; BYTES]> {
    const { assert!(BYTES <= 256, "what the kernel gives whole (getrandom(2))") };
    let mut bytes = [0u8; BYTES];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes)
}

/// The alphabet of what is random in a key: nothing that a URL, a shell or a double click would cut.
pub(crate) const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// So many random characters, each with log2(62) = 5.95 bits: bytes that would make some likelier than others are passed over.
pub(crate) fn base62(characters: usize) -> std::io::Result<String> {
    let mut text = String::with_capacity(characters);
    while text.len() < characters {
        for byte in bytes::<64>()? {
            if byte < 248 && text.len() < characters {
                text.push(char::from(BASE62[usize::from(byte % 62)]));
            }
        }
    }
    Ok(text)
}
