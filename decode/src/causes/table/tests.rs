use super::*;

#[test]
fn ours_has_no_mistake() {
    let mistakes = file::read(include_str!("../../../causes.toml")).err();
    assert_eq!(mistakes, None);
    assert!(Table::builtin().len() > 140, "{}", Table::builtin().len());
    for wrapper in Table::builtin().layers.iter().flat_map(|layer| &layer.wrappers) {
        let id = alloy_primitives::keccak256(&wrapper.signature);
        let id = *id.first_chunk::<4>().unwrap();
        assert!(crate::builtin().errors(id).next().is_some(), "{} is in no table of signatures", wrapper.signature);
    }
}

fn text(text: &str) -> (Cause, String) {
    Table::builtin().text(text, None).map(|it| (it.row.cause, it.rule)).unwrap_or((Cause::Custom, String::new()))
}

#[test]
fn whole_texts_go_before_beginnings_and_those_before_patterns() {
    for (said, cause, rule) in [
        ("PancakeRouter: INSUFFICIENT_OUTPUT_AMOUNT", Cause::Slippage, "text:*Router*: INSUFFICIENT_OUTPUT_AMOUNT"),
        ("SafeMath: subtraction overflow", Cause::Math, "text:SafeMath: subtraction overflow"),
        ("SafeMath: multiplication overflow", Cause::Math, "text:SafeMath: *"),
        ("L", Cause::Liquidity, "text:L"),
        ("BAL#507", Cause::Slippage, "text:BAL#507"),
        ("BAL#004", Cause::Math, "text:BAL#00*"),
        ("BAL#999", Cause::Custom, ""),
        ("l", Cause::Custom, ""),
        ("AA21 didn't pay prefund", Cause::Funds, "text:AA21*"),
        ("Token: SLIPPAGE too large", Cause::Slippage, "text:*slippage*"),
        ("36", Cause::Limits, "text:36"),
        ("UniswapV2: INVALID_SIGNATURE", Cause::Signature, "text:UniswapV2: INVALID_SIGNATURE"),
    ] {
        assert_eq!(text(said), (cause, rule.to_owned()), "{said}");
    }
    let within = Table::builtin().text("SafeMath: subtraction overflow", Some("transferFrom")).unwrap();
    assert_eq!(within.row.cause, Cause::Balance);
}

#[test]
fn names_of_errors_and_words_of_nodes() {
    let error = |signature: &str| Table::builtin().error(signature, None).map(|it| it.row.cause);
    for (signature, cause) in [
        ("InsufficientBalance(uint256,uint256)", Cause::Funds),
        ("InsufficientBalance()", Cause::Balance),
        ("V3TooLittleReceived()", Cause::Slippage),
        ("InvalidSigner()", Cause::Signature),
        ("InvalidInitialization()", Cause::State),
        ("InvalidFoo(uint256)", Cause::Input),
        ("ZeroAmount()", Cause::Input),
        ("PRBMath_MulDiv_Overflow(uint256,uint256,uint256)", Cause::Math),
        ("UnauthorizedFoo()", Cause::Access),
        ("AlreadyDone()", Cause::State),
    ] {
        assert_eq!(error(signature), Some(cause), "{signature}");
    }
    assert_eq!(error("SomethingElse()"), None);
    let word = |word: &str| Table::builtin().word(word).map(|it| it.row.cause);
    for (of, cause) in [
        ("out of gas", Cause::GasLimit),
        ("Out of gas", Cause::GasLimit),
        ("OutOfGas(Basic)", Cause::GasLimit),
        ("contract creation code storage out of gas", Cause::GasLimit),
        ("invalid opcode: INVALID", Cause::Assert),
        ("invalid opcode: opcode 0xfe not defined", Cause::Assert),
        ("invalid opcode 0xfe", Cause::Assert),
        ("invalid opcode: opcode 0x4f not defined", Cause::BadCode),
        ("Bad instruction", Cause::BadCode),
        ("invalid jump destination", Cause::BadCode),
        ("Bad jump destination", Cause::BadCode),
        ("stack underflow (0 <=> 2)", Cause::BadCode),
        ("StackUnderflow", Cause::BadCode),
        ("Out of stack", Cause::BadCode),
        ("stack limit reached 1024 (1023)", Cause::BadCode),
        ("write protection", Cause::StaticWrite),
        ("Mutable Call In Static Context", Cause::StaticWrite),
        ("max call depth exceeded", Cause::Limits),
        ("insufficient balance for transfer", Cause::Funds),
        ("contract address collision", Cause::State),
        ("CreateCollision", Cause::State),
        ("max code size exceeded", Cause::Limits),
        ("return data out of bounds", Cause::Bounds),
        ("failed deposit: something", Cause::Bridge),
        ("invalid code: must not begin with 0xef", Cause::BadCode),
        ("Built-in failed", Cause::Input),
    ] {
        assert_eq!(word(of), Some(cause), "{of}");
    }
    assert_eq!(word("a cosmic ray"), None);
    let message = |of: &str| Table::builtin().message(of).map(|it| it.row.cause);
    assert_eq!(message("insufficient funds for gas * price + value: address 0x12 have 1 want 2"), Some(Cause::Funds));
    assert_eq!(message("gas required exceeds allowance (21000)"), Some(Cause::GasLimit));
}

#[test]
fn a_file_goes_before_ours_and_says_so() {
    let table = Table::parse(
        "[[text]]\nlike = \"Too little*\"\nclass = \"liquidity\"\nsay = \"ours: {text}\"\n\n[[error]]\nis = \"VaultLocked(uint256)\"\nclass = \"paused\"\n\n[[panic]]\ncode = [1, 0x11]\nclass = \"balance\"\n",
    )
    .unwrap();
    let it = table.text("Too little received", None).unwrap();
    assert_eq!((it.row.cause, it.rule.as_str()), (Cause::Liquidity, "file:text:Too little*"));
    assert_eq!(table.panic(U256::from(0x11), None).map(|it| it.row.cause), Some(Cause::Balance));
    assert_eq!(table.error("VaultLocked(uint256)", None).map(|it| it.row.cause), Some(Cause::Paused));
    assert!(table.error("VaultLocked(uint8)", None).is_none());
    // What it does not say is said by ours.
    assert_eq!(table.text("Too much requested", None).unwrap().rule, "text:Too much requested");
    assert!(table.len() > Table::builtin().len());
    assert_eq!(Table::parse("").unwrap().len(), Table::builtin().len());
}

#[test]
fn mistakes_have_their_line_and_a_cure() {
    for (toml, line, problem, cure) in [
        ("[[text]\n", 1, "is no TOML", "quote texts"),
        ("\n[[texts]]\nis = \"a\"\n", 2, "`[[texts]]` is no kind of row", "`[[text]]`"),
        ("text = 1\n", 1, "is no list of rows", "`[[text]]`"),
        ("[[text]]\nis = \"a\"\nclass = \"slipage\"\n", 3, "`slipage` is no class", "slippage, deadline"),
        ("[[text]]\nis = \"a\"\n", 1, "has no `class`", "slippage"),
        ("[[text]]\nclass = \"math\"\n", 1, "matches nothing", "`is = "),
        ("[[text]]\nis = 5\nclass = \"math\"\n", 2, "no text", "is = "),
        ("[[text]]\nis = \"a\"\nclass = \"math\"\nsay = \"the [{x}\"\n", 4, "`[`", "{…}"),
        ("[[text]]\nis = \"a\"\nclass = \"math\"\nsays = \"x\"\n", 4, "`says` is no key", "`say`"),
        ("[[text]]\nis = \"a\"\nclass = \"math\"\ninner = \"yes\"\n", 4, "neither true nor false", "inner = true"),
        ("[[panic]]\nclass = \"math\"\n", 1, "has no `code`", "0x11"),
        ("[[wrapper]]\nerror = \"W(uint256,bytes)\"\ndata = 0\n", 3, "no such position", "`bytes`"),
        ("[[wrapper]]\nerror = \"W(\"\ndata = 0\n", 1, "is no error", "WrappedError"),
    ] {
        let mistakes = Table::parse(toml).unwrap_err();
        let first = &mistakes[0];
        assert!(first.path.starts_with(&format!("line {line}, column ")), "{toml}: {mistakes:?}");
        assert!(first.problem.contains(problem) && first.cure.contains(cure), "{toml}: {mistakes:?}");
    }
    let many = "[[text]]\nis = \"a\"\nclass = \"x\"\n".repeat(100);
    assert_eq!(Table::parse(&many).unwrap_err().len(), 20);
    assert!(Table::parse(&" ".repeat(2 << 20)).is_err());
}
