//! Small contracts, assembled by hand, that fail in every way, and the cases of it.
//!
//! A *relay* reads its calldata as `depth, mode, payload`: at depth 0 it fails as the mode says, otherwise it calls the next relay with one
//! less, hands on what that returned, and reverts with it. Who is next stands in its code.

use alloy_primitives::{Address, Bytes, FixedBytes, U256, hex, keccak256};
use alloy_sol_types::SolValue;
use decode::causes::Cause;

/// How a relay fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// Reverts with the payload.
    Revert = 0,
    /// `INVALID`.
    Invalid,
    /// Jumps to where no `JUMPDEST` is.
    Jump,
    /// Writes to storage: in a static call.
    Write,
    /// Never ends.
    Loop,
    /// Sends more than it has, and reverts with nothing.
    Poor,
    /// Takes more from the stack than there is.
    Under,
    /// An opcode that is none.
    Undefined,
    /// Reverts with nothing, since an address has no code.
    NoCode,
    /// Calls somebody who reverts, survives that, and reverts with the payload.
    Caught,
    /// As [`Mode::Revert`], through a proxy that delegates.
    Behind,
}

/// A case.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: &'static str,
    pub mode: Mode,
    pub cause: Cause,
    payload: Vec<u8>,
    /// What the sentence must say.
    pub says: &'static [&'static str],
}

impl Case {
    /// Calldata.
    pub fn input(&self, depth: u8) -> Vec<u8> {
        let mode = if self.mode == Mode::Behind { Mode::Revert } else { self.mode };
        [&[depth, mode as u8], &self.payload[..]].concat()
    }

    /// Whether nothing of it comes out of so many calls.
    pub fn is_silent(&self, calls: u16) -> bool {
        match self.mode {
            Mode::Revert | Mode::Caught | Mode::Behind => self.payload.is_empty(),
            Mode::Poor | Mode::NoCode | Mode::Write => true,
            _ => calls > 0,
        }
    }
}

/// `Error(string)`.
fn text(text: &str) -> Vec<u8> {
    error("Error(string)", (text.to_owned(),).abi_encode_params())
}

fn panic(code: u64) -> Vec<u8> {
    error("Panic(uint256)", U256::from(code).abi_encode())
}

fn error(signature: &str, arguments: Vec<u8>) -> Vec<u8> {
    [&keccak256(signature)[..4], &arguments[..]].concat()
}

/// Calldata of a function without arguments.
pub fn call(signature: &str) -> Vec<u8> {
    keccak256(signature)[..4].to_vec()
}

/// All of them.
pub fn cases() -> Vec<Case> {
    use Mode::*;
    let who = Address::repeat_byte(0xab);
    let of = |n: u64, m: u64| (who, U256::from(n), U256::from(m)).abi_encode_params();
    let wrapped = (who, FixedBytes([0, 0, 0, 0]), Bytes::from(text("Too little received")), Bytes::new());
    let operation = (U256::ZERO, "AA23 reverted".to_owned());
    let case = |name, mode, cause: &str, payload, says| Case {
        name,
        mode,
        cause: Cause::of(cause).unwrap_or_else(|| panic!("a class: {cause}")),
        payload,
        says,
    };
    vec![
        case("Too little received", Revert, "slippage", text("Too little received"), &[]),
        case("router's minimum", Revert, "slippage", text("UniswapV2Router: INSUFFICIENT_OUTPUT_AMOUNT"), &["minimum"]),
        case("V3TooLittleReceived()", Revert, "slippage", error("V3TooLittleReceived()", vec![]), &[]),
        case(
            "WrappedError around a text",
            Revert,
            "slippage",
            error("WrappedError(address,bytes4,bytes,bytes)", wrapped.abi_encode_params()),
            &[],
        ),
        case("Transaction too old", Revert, "deadline", text("Transaction too old"), &[]),
        case(
            "ERC2612ExpiredSignature(uint256)",
            Revert,
            "deadline",
            error("ERC2612ExpiredSignature(uint256)", U256::from(1_234_567).abi_encode()),
            &[],
        ),
        case(
            "ERC20InsufficientAllowance",
            Revert,
            "allowance",
            error("ERC20InsufficientAllowance(address,uint256,uint256)", of(41, 42)),
            &["41", "42"],
        ),
        case(
            "ERC20InsufficientBalance",
            Revert,
            "balance",
            error("ERC20InsufficientBalance(address,uint256,uint256)", of(41, 42)),
            &["41", "42"],
        ),
        case("exceeds balance", Revert, "balance", text("ERC20: transfer amount exceeds balance"), &[]),
        case(
            "behind a proxy",
            Behind,
            "balance",
            error("ERC20InsufficientBalance(address,uint256,uint256)", of(41, 42)),
            &["41", "42"],
        ),
        case("sends more than it has", Poor, "funds", vec![], &[]),
        case("Address: insufficient balance", Revert, "funds", text("Address: insufficient balance"), &[]),
        case("UniswapV2: K", Revert, "liquidity", text("UniswapV2: K"), &[]),
        case("never ends", Loop, "gas_limit", vec![], &["gas"]),
        case(
            "OwnableUnauthorizedAccount(address)",
            Revert,
            "access",
            error("OwnableUnauthorizedAccount(address)", who.abi_encode()),
            &[],
        ),
        case("Ownable", Revert, "access", text("Ownable: caller is not the owner"), &[]),
        case("EnforcedPause()", Revert, "paused", error("EnforcedPause()", vec![]), &[]),
        case("a call inside failed and was survived", Caught, "paused", text("Pausable: paused"), &[]),
        case("ReentrancyGuard", Revert, "reentrancy", text("ReentrancyGuard: reentrant call"), &[]),
        case("Panic(0x11)", Revert, "math", panic(0x11), &["0x11"]),
        case("Panic(0x12)", Revert, "math", panic(0x12), &["0x12"]),
        case("Panic(0x32)", Revert, "bounds", panic(0x32), &["0x32"]),
        case("Panic(0x01)", Revert, "assert", panic(0x01), &["0x01"]),
        case("INVALID", Invalid, "assert", vec![], &[]),
        case("ECDSA: invalid signature", Revert, "signature", text("ECDSA: invalid signature"), &[]),
        case("already initialized", Revert, "state", text("Initializable: contract is already initialized"), &[]),
        case("Panic(0x21)", Revert, "input", panic(0x21), &["0x21"]),
        case("zero address", Revert, "input", text("ERC20: mint to the zero address"), &[]),
        case(
            "ERC721NonexistentToken(uint256)",
            Revert,
            "not_found",
            error("ERC721NonexistentToken(uint256)", U256::from(777).abi_encode()),
            &["777"],
        ),
        case("TransferHelper", Revert, "transfer_failed", text("TransferHelper: TRANSFER_FROM_FAILED"), &[]),
        case("bad jump", Jump, "bad_code", vec![], &[]),
        case("stack underflow", Under, "bad_code", vec![], &[]),
        case("an opcode that is none", Undefined, "bad_code", vec![], &[]),
        case("writes in a static call", Write, "static_write", vec![], &[]),
        case("stale price", Revert, "oracle", text("stale price"), &[]),
        case(
            "ERC4626ExceededMaxDeposit",
            Revert,
            "limits",
            error("ERC4626ExceededMaxDeposit(address,uint256,uint256)", of(42, 41)),
            &["41", "42"],
        ),
        case("InvalidProof()", Revert, "bridge", error("InvalidProof()", vec![]), &[]),
        case(
            "FailedOp AA23",
            Revert,
            "wallet",
            error("FailedOp(uint256,string)", operation.abi_encode_params()),
            &["AA23"],
        ),
        case("a selector that nobody knows", Revert, "custom", hex!("deadbeef0000002a").to_vec(), &["0xdeadbeef"]),
        case("require without a text", Revert, "opaque", vec![], &[]),
        case("a call to an address without code", NoCode, "opaque", vec![], &[]),
    ]
}

/// Bytes of code with places to jump to.
#[derive(Default)]
struct Code {
    bytes: Vec<u8>,
    labels: Vec<(&'static str, u16)>,
    jumps: Vec<(usize, &'static str)>,
}

impl Code {
    fn op(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.bytes.extend_from_slice(bytes.as_ref());
        self
    }

    /// `PUSH2` of a label, then an opcode.
    fn to(mut self, label: &'static str, jump: u8) -> Self {
        self.jumps.push((self.bytes.len() + 1, label));
        self.op([0x61, 0, 0, jump])
    }

    /// `JUMPDEST`.
    fn label(mut self, label: &'static str) -> Self {
        self.labels.push((label, u16::try_from(self.bytes.len()).expect("short")));
        self.op([0x5b])
    }

    /// Jumps there where the mode, which stays on the stack, is this.
    fn on(self, mode: Mode, label: &'static str) -> Self {
        self.op([0x80, 0x60, mode as u8, 0x14]).to(label, JUMPI)
    }

    /// Code that makes a contract of it.
    fn deployed(mut self) -> Vec<u8> {
        for (at, label) in &self.jumps {
            let (_, place) = self.labels.iter().find(|(name, _)| name == label).expect("a label");
            self.bytes[*at..at + 2].copy_from_slice(&place.to_be_bytes());
        }
        let [high, low] = u16::try_from(self.bytes.len()).expect("short").to_be_bytes();
        // CODECOPY(0, 11, length), RETURN(0, length)
        let mut code = vec![0x61, high, low, 0x80, 0x61, 0, 11, 0x5f, 0x39, 0x5f, 0xf3];
        code.extend(self.bytes);
        code
    }
}

const JUMP: u8 = 0x56;
const JUMPI: u8 = 0x57;
/// `RETURNDATACOPY(0, 0, RETURNDATASIZE)`.
const COPY_BACK: [u8; 4] = hex!("3d5f5f3e");
/// `REVERT(0, 0)`.
const NOTHING: [u8; 3] = hex!("5f5ffd");

/// See the module. `reads`: it calls the next with `STATICCALL`.
pub fn relay(next: Address, reads: bool) -> Vec<u8> {
    let code = Code::default()
        // word, depth
        .op(hex!("5f35 80 60f8 1c"))
        .op([0x80])
        .to("on", JUMPI)
        // mode = (word >> 240) & 0xff
        .op(hex!("50 60f0 1c 60ff 16"))
        .on(Mode::Invalid, "invalid")
        .on(Mode::Jump, "jump")
        .on(Mode::Write, "write")
        .on(Mode::Loop, "loop")
        .on(Mode::Poor, "poor")
        .on(Mode::Under, "under")
        .on(Mode::Undefined, "undefined")
        .on(Mode::NoCode, "nocode")
        .on(Mode::Caught, "caught")
        // CALLDATACOPY(0, 2, size - 2), REVERT(0, size - 2)
        .label("revert")
        .op(hex!("6002 36 03 80 6002 5f 37 5f fd"))
        .label("invalid")
        .op([0xfe])
        .label("jump")
        .op([0x60, 1, JUMP])
        .label("write")
        .op(hex!("6001 5f 55 00"))
        .label("loop")
        .to("loop", JUMP)
        // CALL(gas, next, 10^18, 0, 0, 0, 0)
        .label("poor")
        .op(hex!("5f5f5f5f 670de0b6b3a7640000 73"))
        .op(next)
        .op(hex!("5a f1"))
        .op(NOTHING)
        .label("under")
        .op([0x50; 4])
        .label("undefined")
        .op([0x0c])
        .label("nocode")
        .op([0x73])
        .op(Address::repeat_byte(0xee))
        .op([0x3b])
        .to("on", JUMPI)
        .op(NOTHING)
        // CALL(gas, next, 0, 0, 2, 0, 0): depth 0, mode 0, no payload
        .label("caught")
        .op(hex!("5f5f 6002 5f 5f 73"))
        .op(next)
        .op(hex!("5a f1 50"))
        .to("revert", JUMP)
        // word, depth: MSTORE8(0, depth - 1) over the calldata
        .label("on")
        .op(hex!("36 5f 5f 37 6001 90 03 5f 53"))
        .op(hex!("5f5f 36 5f"))
        .op(if reads { &[][..] } else { &[0x5f] })
        .op([0x73])
        .op(next)
        .op([0x5a, if reads { 0xfa } else { 0xf1 }])
        .op(COPY_BACK)
        .to("fine", JUMPI)
        .op(hex!("3d 5f fd"))
        .label("fine")
        .op(hex!("3d 5f f3"));
    code.deployed()
}

/// A proxy that delegates everything.
pub fn proxy(implementation: Address) -> Vec<u8> {
    let code = Code::default()
        .op(hex!("36 5f 5f 37 5f 5f 36 5f 73"))
        .op(implementation)
        .op(hex!("5a f4"))
        .op(COPY_BACK)
        .to("fine", JUMPI)
        .op(hex!("3d 5f fd"))
        .label("fine")
        .op(hex!("3d 5f f3"));
    code.deployed()
}

/// `write()` writes; `first()` reverts with "Transaction too old" before that, and with `EnforcedPause()` after it.
pub fn two_faced() -> Vec<u8> {
    let (late, paused) = (text("Transaction too old"), error("EnforcedPause()", vec![]));
    let size = u8::try_from(late.len()).expect("short");
    let code = Code::default()
        .op(hex!("5f35 60e0 1c 63"))
        .op(call("write()"))
        .op([0x14])
        .to("write", JUMPI)
        .op(hex!("5f 54"))
        .to("paused", JUMPI)
        // CODECOPY(0, text + 1, size), REVERT(0, size): the text stands behind the code and a JUMPDEST.
        .op([0x60, size])
        .to("text", 0x60)
        .op([1, 0x01, 0x5f, 0x39, 0x60, size, 0x5f, 0xfd])
        .label("paused")
        .op([0x63])
        .op(paused)
        .op(hex!("60e0 1b 5f 52 6004 5f fd"))
        .label("write")
        .op(hex!("6001 5f 55 00"))
        .label("text")
        .op(late);
    code.deployed()
}
