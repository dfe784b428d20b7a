//! The C interface of `libchdb`, behind types that cannot be misused from safe code.
//!
//! What keeps it sound: the library is loaded once and never unloaded (its threads live as long as the process); a handle
//! is owned by one value and freed once; a connection runs one statement at a time, which `&mut self` and the lifetimes of
//! streams say; connections open and close one after the other, under a lock; handles move between threads but are not
//! shared. Signatures follow `chdb.h` of the chdb project, version 26.7.

use super::Error;
use bytes::Bytes;
use libloading::Library;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, OnceLock, PoisonError};

/// What the engine says when a statement fails: `Code: N. DB::Exception: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exception(pub String);

/// What the engine's own parser says of a text, without running it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Analysis {
    pub statements: u32,
}

#[repr(C)]
struct RawAnalysis {
    struct_size: u32,
    statement_count: u32,
    flags: u32,
    query_class: u32,
}

type RawResult = *mut c_void;
type RawStream = *mut c_void;
type RawConnection = *mut c_void;
type Text = *const c_char;
type Texts = *const *const c_char;
type QueryFn = unsafe extern "C" fn(
    RawConnection,
    Text,
    usize,
    Text,
    usize,
    Texts,
    *const usize,
    Texts,
    *const usize,
    usize,
) -> RawResult;
type OfResult<T> = unsafe extern "C" fn(RawResult) -> T;
type OfStream<T> = unsafe extern "C" fn(RawStream) -> T;

struct Api {
    connect: unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut RawConnection,
    close: unsafe extern "C" fn(*mut RawConnection),
    query: QueryFn,
    stream_query: QueryFn,
    stream_fetch: unsafe extern "C" fn(RawConnection, RawResult) -> RawResult,
    stream_cancel: unsafe extern "C" fn(RawConnection, RawResult),
    insert: QueryFn,
    insert_append: unsafe extern "C" fn(RawStream, *const c_void, usize) -> c_int,
    insert_done: OfStream<RawResult>,
    insert_cancel: OfStream<()>,
    insert_error: OfStream<Text>,
    insert_destroy: OfStream<()>,
    classify: unsafe extern "C" fn(RawConnection, Text, usize, Text, usize, *mut RawAnalysis) -> c_int,
    buffer: OfResult<*const u8>,
    length: OfResult<usize>,
    error: OfResult<Text>,
    elapsed: OfResult<f64>,
    rows_read: OfResult<u64>,
    storage_rows_read: OfResult<u64>,
    storage_bytes_read: OfResult<u64>,
    rows_written: OfResult<u64>,
    bytes_written: OfResult<u64>,
    destroy: OfResult<()>,
    shutdown: unsafe extern "C" fn() -> c_int,
}

/// The loaded library. There is at most one in a process.
pub(super) struct Engine {
    api: Api,
    connecting: Mutex<()>,
}

static ENGINE: OnceLock<Engine> = OnceLock::new();

impl Engine {
    /// Loads the library and switches its signal handlers off, before anything else can be asked of it. A second call
    /// answers the engine of the first.
    pub fn load(path: &Path) -> Result<&'static Self, Error> {
        if let Some(engine) = ENGINE.get() {
            return Ok(engine);
        }
        let unusable =
            |e: libloading::Error| Error::LibraryUnusable { path: path.to_path_buf(), reason: e.to_string() };
        // SAFETY: the file is the engine's library, chosen by the operator or by a checksum; its initialisers have no
        // preconditions. The library is leaked below, so that no symbol outlives it.
        let library: &'static Library = Box::leak(Box::new(unsafe { Library::new(path) }.map_err(unusable)?));
        macro_rules! symbol {
            ($name:literal) => {
                // SAFETY: the field's type is the function's signature in chdb.h.
                *unsafe { library.get($name) }.map_err(unusable)?
            };
        }
        let handlers: unsafe extern "C" fn(c_int) = symbol!(b"chdb_set_signal_handlers_enabled\0");
        // SAFETY: takes an int, touches only the library's own flag.
        unsafe { handlers(0) };
        let api = Api {
            connect: symbol!(b"chdb_connect\0"),
            close: symbol!(b"chdb_close_conn\0"),
            query: symbol!(b"chdb_query_with_params_n\0"),
            stream_query: symbol!(b"chdb_stream_query_with_params_n\0"),
            stream_fetch: symbol!(b"chdb_stream_fetch_result\0"),
            stream_cancel: symbol!(b"chdb_stream_cancel_query\0"),
            insert: symbol!(b"chdb_stream_insert_with_params_n\0"),
            insert_append: symbol!(b"chdb_stream_append\0"),
            insert_done: symbol!(b"chdb_stream_done\0"),
            insert_cancel: symbol!(b"chdb_stream_cancel_insert\0"),
            insert_error: symbol!(b"chdb_stream_insert_error\0"),
            insert_destroy: symbol!(b"chdb_destroy_insert_stream\0"),
            classify: symbol!(b"chdb_classify_query_n\0"),
            buffer: symbol!(b"chdb_result_buffer\0"),
            length: symbol!(b"chdb_result_length\0"),
            error: symbol!(b"chdb_result_error\0"),
            elapsed: symbol!(b"chdb_result_elapsed\0"),
            rows_read: symbol!(b"chdb_result_rows_read\0"),
            storage_rows_read: symbol!(b"chdb_result_storage_rows_read\0"),
            storage_bytes_read: symbol!(b"chdb_result_storage_bytes_read\0"),
            rows_written: symbol!(b"chdb_result_rows_written\0"),
            bytes_written: symbol!(b"chdb_result_bytes_written\0"),
            destroy: symbol!(b"chdb_destroy_query_result\0"),
            shutdown: symbol!(b"chdb_shutdown\0"),
        };
        Ok(ENGINE.get_or_init(|| Self { api, connecting: Mutex::new(()) }))
    }

    /// Opens a connection. The first one of a process boots the engine and decides path and configuration; later ones take
    /// only settings (`--name=value`) and must name the same path.
    pub fn connect(&'static self, arguments: &[String]) -> Result<Connection, Exception> {
        let refused =
            || Exception("Code: 36. DB::Exception: the engine refused the connection (BAD_ARGUMENTS)".to_owned());
        let arguments: Vec<CString> = std::iter::once("clickhouse")
            .chain(arguments.iter().map(String::as_str))
            .map(CString::new)
            .collect::<Result<_, _>>()
            .map_err(|_| refused())?;
        let mut pointers: Vec<*mut c_char> = arguments.iter().map(|a| a.as_ptr().cast_mut()).collect();
        pointers.push(ptr::null_mut());
        let count = c_int::try_from(arguments.len()).map_err(|_| refused())?;
        let _one_at_a_time = self.connecting.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: argv holds `count` NUL-terminated strings and a final null, all alive during the call; the library copies
        // what it keeps and does not write to them.
        let handle = unsafe { (self.api.connect)(count, pointers.as_mut_ptr()) };
        NonNull::new(handle).map(|handle| Connection { engine: self, handle }).ok_or_else(refused)
    }

    /// Stops the engine's threads. Every connection must be closed. False when some thread goes on (which happens when
    /// MergeTree tables exist; ending the process is clean all the same).
    pub fn shutdown(&'static self) -> bool {
        // SAFETY: may be called at any time, from any thread.
        unsafe { (self.api.shutdown)() == 0 }
    }
}

/// One connection: runs one statement at a time.
pub(super) struct Connection {
    engine: &'static Engine,
    handle: NonNull<RawConnection>,
}

// SAFETY: the engine ties a connection to no thread; it asks only that calls on one do not overlap, which `&mut` ensures.
unsafe impl Send for Connection {}

/// Names and values for `{name:Type}` in a statement.
pub(super) type Params = [(String, String)];

impl Connection {
    fn raw(&self) -> RawConnection {
        // SAFETY: the handle points to the connection's own pointer and stays valid until `drop`.
        unsafe { *self.handle.as_ptr() }
    }

    fn call(&mut self, function: QueryFn, sql: &[u8], format: &str, params: &Params) -> RawResult {
        let names: Vec<Text> = params.iter().map(|(name, _)| name.as_ptr().cast()).collect();
        let name_lengths: Vec<usize> = params.iter().map(|(name, _)| name.len()).collect();
        let values: Vec<Text> = params.iter().map(|(_, value)| value.as_ptr().cast()).collect();
        let value_lengths: Vec<usize> = params.iter().map(|(_, value)| value.len()).collect();
        // SAFETY: every pointer goes with its length and outlives the call; the four arrays have `params.len()` entries.
        unsafe {
            function(
                self.raw(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                names.as_ptr(),
                name_lengths.as_ptr(),
                values.as_ptr(),
                value_lengths.as_ptr(),
                params.len(),
            )
        }
    }

    /// Runs a statement and holds its whole result.
    pub fn query(&mut self, sql: &[u8], format: &str, params: &Params) -> Result<QueryResult, Exception> {
        let raw = self.call(self.engine.api.query, sql, format, params);
        QueryResult::checked(self.engine, raw)
    }

    /// Starts a SELECT whose result comes in chunks.
    pub fn stream(&mut self, sql: &[u8], format: &str, params: &Params) -> Result<SelectStream<'_>, Exception> {
        let raw = self.call(self.engine.api.stream_query, sql, format, params);
        let result = QueryResult::checked(self.engine, raw)?;
        Ok(SelectStream { connection: self, result, ended: false })
    }

    /// Starts an INSERT whose data follow in pieces. `sql` goes up to, and without, `FORMAT` or `VALUES`.
    pub fn insert(&mut self, sql: &[u8], format: &str, params: &Params) -> Result<InsertStream<'_>, Exception> {
        let raw = self.call(self.engine.api.insert, sql, format, params);
        let handle = NonNull::new(raw).ok_or_else(no_answer)?;
        let stream = InsertStream { engine: self.engine, handle, finished: false, connection: PhantomData };
        match stream.error() {
            Some(e) => Err(e),
            None => Ok(stream),
        }
    }

    /// Parses a text with the engine's own parser.
    pub fn classify(&mut self, sql: &[u8]) -> Option<Analysis> {
        let mut out = RawAnalysis {
            struct_size: u32::try_from(size_of::<RawAnalysis>()).ok()?,
            statement_count: 0,
            flags: 0,
            query_class: u32::MAX,
        };
        // SAFETY: the text goes with its length, the struct says its own size, no target database is named.
        let state = unsafe {
            (self.engine.api.classify)(self.raw(), sql.as_ptr().cast(), sql.len(), ptr::null(), 0, &raw mut out)
        };
        (state == 0).then_some(Analysis { statements: out.statement_count })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _one_at_a_time = self.engine.connecting.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the handle came from `connect` and is closed once; streams borrow the connection, so none is left.
        unsafe { (self.engine.api.close)(self.handle.as_ptr()) }
    }
}

/// A result and its buffer. `Bytes::from_owner` takes it as it is, without a copy.
pub(super) struct QueryResult {
    engine: &'static Engine,
    handle: NonNull<c_void>,
}

// SAFETY: a result is memory that only this value owns and nothing changes any more; it is freed from whichever thread.
unsafe impl Send for QueryResult {}

impl QueryResult {
    fn checked(engine: &'static Engine, raw: RawResult) -> Result<Self, Exception> {
        let result = Self { engine, handle: NonNull::new(raw).ok_or_else(no_answer)? };
        // SAFETY: the handle is valid; the text, when there is one, lives as long as the result.
        match unsafe { text((engine.api.error)(result.handle.as_ptr())) } {
            Some(message) => Err(Exception(message)),
            None => Ok(result),
        }
    }

    fn get<T>(&self, function: OfResult<T>) -> T {
        // SAFETY: the handle is valid until `drop`, and the function only reads from it.
        unsafe { function(self.handle.as_ptr()) }
    }

    /// Figures of the statement so far.
    pub fn figures(&self) -> Figures {
        let api = &self.engine.api;
        Figures {
            elapsed_seconds: self.get(api.elapsed),
            result_rows: self.get(api.rows_read),
            read_rows: self.get(api.storage_rows_read),
            read_bytes: self.get(api.storage_bytes_read),
            written_rows: self.get(api.rows_written),
            written_bytes: self.get(api.bytes_written),
        }
    }

    /// The result's bytes, borrowed from the engine until the last clone is dropped.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for QueryResult {
    fn as_ref(&self) -> &[u8] {
        let (buffer, length) = (self.get(self.engine.api.buffer), self.get(self.engine.api.length));
        if buffer.is_null() || length == 0 {
            return &[];
        }
        // SAFETY: the engine owns `length` initialised bytes at `buffer`, unchanged until the result is destroyed.
        unsafe { std::slice::from_raw_parts(buffer, length) }
    }
}

impl Drop for QueryResult {
    fn drop(&mut self) {
        // SAFETY: destroyed once, by its only owner.
        unsafe { (self.engine.api.destroy)(self.handle.as_ptr()) }
    }
}

/// What the engine counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    pub elapsed_seconds: f64,
    pub result_rows: u64,
    pub read_rows: u64,
    pub read_bytes: u64,
    pub written_rows: u64,
    pub written_bytes: u64,
}

/// A running SELECT. Dropped before its end, it is cancelled.
pub(super) struct SelectStream<'c> {
    connection: &'c mut Connection,
    result: QueryResult,
    ended: bool,
}

impl SelectStream<'_> {
    /// The next chunk, a whole document of the format; `None` at the end.
    pub fn next(&mut self) -> Result<Option<QueryResult>, Exception> {
        let engine = self.connection.engine;
        // SAFETY: both handles are valid, and `&mut` keeps fetches from overlapping.
        let raw = unsafe { (engine.api.stream_fetch)(self.connection.raw(), self.result.handle.as_ptr()) };
        let chunk = QueryResult::checked(engine, raw).inspect_err(|_| self.ended = true)?;
        if chunk.as_ref().is_empty() {
            self.ended = true;
            return Ok(None);
        }
        Ok(Some(chunk))
    }
}

impl Drop for SelectStream<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // SAFETY: both handles are valid; no fetch runs, since this is the only reference.
            unsafe { (self.connection.engine.api.stream_cancel)(self.connection.raw(), self.result.handle.as_ptr()) }
        }
    }
}

/// A running INSERT. Dropped before [`InsertStream::finish`], it is cancelled: what has not become a part is gone.
pub(super) struct InsertStream<'c> {
    engine: &'static Engine,
    handle: NonNull<c_void>,
    finished: bool,
    connection: PhantomData<&'c mut Connection>,
}

impl InsertStream<'_> {
    fn error(&self) -> Option<Exception> {
        // SAFETY: the handle is valid; the text is copied at once.
        unsafe { text((self.engine.api.insert_error)(self.handle.as_ptr())) }.map(Exception)
    }

    /// Hands over one piece, cut anywhere. Blocks while the engine is behind.
    pub fn append(&mut self, piece: &[u8]) -> Result<(), Exception> {
        // SAFETY: the bytes go with their length and are copied before the call returns.
        let state =
            unsafe { (self.engine.api.insert_append)(self.handle.as_ptr(), piece.as_ptr().cast(), piece.len()) };
        if state == 0 { Ok(()) } else { Err(self.failure()) }
    }

    /// The reason why the stream failed: only the end of it tells.
    fn failure(&mut self) -> Exception {
        match self.error() {
            Some(e) => e,
            None => self.done().err().unwrap_or_else(no_answer),
        }
    }

    fn done(&mut self) -> Result<QueryResult, Exception> {
        self.finished = true;
        // SAFETY: called once; `finished` keeps it from being called again.
        let raw = unsafe { (self.engine.api.insert_done)(self.handle.as_ptr()) };
        QueryResult::checked(self.engine, raw)
    }

    /// Ends the data and waits until they are written as the table's settings say (fsync included).
    pub fn finish(mut self) -> Result<Figures, Exception> {
        self.done().map(|result| result.figures())
    }
}

impl Drop for InsertStream<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is valid, cancelled only when not finished, destroyed once.
        unsafe {
            if !self.finished {
                (self.engine.api.insert_cancel)(self.handle.as_ptr());
            }
            (self.engine.api.insert_destroy)(self.handle.as_ptr());
        }
    }
}

fn no_answer() -> Exception {
    Exception("Code: 49. DB::Exception: the engine gave no answer (LOGICAL_ERROR)".to_owned())
}

/// # Safety
/// `pointer` is null or a NUL-terminated string that lives until this returns.
unsafe fn text(pointer: Text) -> Option<String> {
    // SAFETY: as promised by the caller.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}
