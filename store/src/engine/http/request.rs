//! A request's parameters: what is the interface's, what is a setting, what is a statement's parameter.

use super::error::{Code, Failure};
use hyper::{HeaderMap, Method, Uri};
use schemas::limits::store as limits;

/// What the URL, the headers and a form say, before the body is read.
#[derive(Debug, Default)]
pub(super) struct Request {
    /// `query`: the statement, or its beginning.
    pub query: String,
    /// `database` or `X-ClickHouse-Database`.
    pub database: Option<String>,
    /// `default_format` or `X-ClickHouse-Format`.
    pub format: Option<String>,
    /// `param_NAME`: values for `{NAME:Type}`.
    pub params: Vec<(String, String)>,
    /// Everything that is not the interface's own.
    pub settings: Vec<(String, String)>,
    /// `decompress=1`: the body is in ClickHouse's own blocks.
    pub blocks_in: bool,
    /// `compress=1`: the answer is.
    pub blocks_out: bool,
    /// `wait_end_of_query=1`: make the whole result before answering.
    pub wait: bool,
    /// `enable_http_compression=0`.
    pub plain: bool,
    /// `query_id`, given back.
    pub query_id: Option<String>,
    /// `client_protocol_version`: the revision of ClickHouse's own protocol by which the client reads Native.
    pub protocol_version: Option<u64>,
    /// GET changes nothing, as with ClickHouse.
    pub read_only: bool,
}

/// The URL's parameters, decoded.
pub(super) fn parameters(uri: &Uri) -> Result<Vec<(String, String)>, Failure> {
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    if pairs.len() > limits::REQUEST_PARAMETERS {
        return Err(Code::BadArguments.failure(format!("more than {} parameters", limits::REQUEST_PARAMETERS)));
    }
    Ok(pairs)
}

impl Request {
    /// Sorts the parameters.
    pub fn new(method: &Method, headers: &HeaderMap, parameters: Vec<(String, String)>) -> Result<Self, Failure> {
        let header = |name| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let mut request = Self {
            database: header("x-clickhouse-database"),
            format: header("x-clickhouse-format"),
            read_only: matches!(*method, Method::GET | Method::HEAD),
            ..Self::default()
        };
        for (name, value) in parameters {
            request.add(name, value)?;
        }
        Ok(request)
    }

    /// Takes one parameter, from the URL or from a form.
    pub fn add(&mut self, name: String, value: String) -> Result<(), Failure> {
        match name.as_str() {
            "query" => self.query.push_str(&value),
            "database" => self.database = Some(value),
            "default_format" => self.format = (!value.is_empty()).then_some(value).or(self.format.take()),
            "decompress" => self.blocks_in = value == "1",
            "compress" => self.blocks_out = value == "1",
            "wait_end_of_query" => self.wait = value == "1",
            "enable_http_compression" => self.plain = value == "0",
            "query_id" if value.len() > limits::QUERY_ID_BYTES || value.contains(char::is_control) => {
                let most = limits::QUERY_ID_BYTES;
                return Err(Code::BadArguments
                    .failure(format!("query_id is a text of at most {most} bytes without control characters")));
            }
            "query_id" => self.query_id = (!value.is_empty()).then_some(value),
            "client_protocol_version" => self.protocol_version = value.parse().ok(),
            // No state is kept between requests; the clients that send a session do not need one.
            "user" | "password" | "quota_key" | "session_id" | "session_timeout" | "session_check"
            | "close_session" | "buffer_size" | "stacktrace" => {}
            "role" => return Err(Code::AccessDenied.failure("there are no roles to choose from")),
            _ => match name.strip_prefix("param_") {
                Some(param) => self.params.push((param.to_owned(), value)),
                None => self.settings.push((name, value)),
            },
        }
        Ok(())
    }
}

/// The boundary of a `multipart/form-data` body.
pub(super) fn form_boundary(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(hyper::header::CONTENT_TYPE)?.to_str().ok()?;
    if !kind.get(..19)?.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = kind.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    let boundary = boundary.trim_matches('"');
    (!boundary.is_empty() && boundary.len() <= 70).then(|| boundary.to_owned())
}

/// The fields of a form (RFC 7578). Files, ClickHouse's external tables, are refused.
pub(super) fn form_fields(body: &[u8], boundary: &str) -> Result<Vec<(String, String)>, Failure> {
    let malformed = || Code::BadArguments.failure("the form in the body is not multipart/form-data as RFC 7578 has it");
    let delimiter = [b"--", boundary.as_bytes()].concat();
    let mut rest = body.strip_prefix(delimiter.as_slice()).ok_or_else(malformed)?;
    let separator = [b"\r\n", delimiter.as_slice()].concat();
    let mut fields = Vec::new();
    while !rest.starts_with(b"--") {
        if fields.len() >= limits::REQUEST_PARAMETERS {
            return Err(malformed());
        }
        let part = rest.strip_prefix(b"\r\n").ok_or_else(malformed)?;
        let end = position(part, &separator).ok_or_else(malformed)?;
        let (part, after) = (&part[..end], &part[end + separator.len()..]);
        let head_end = position(part, b"\r\n\r\n").ok_or_else(malformed)?;
        let head = String::from_utf8_lossy(&part[..head_end]);
        let disposition = head
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))
            .ok_or_else(malformed)?;
        if disposition.contains("filename=") {
            return Err(Code::NotImplemented.failure("external tables in a form are not supported"));
        }
        let name = disposition.split(';').find_map(|p| p.trim().strip_prefix("name=")).ok_or_else(malformed)?;
        let value = String::from_utf8(part[head_end + 4..].to_vec()).map_err(|_| malformed())?;
        fields.push((name.trim_matches('"').to_owned(), value));
        rest = after;
    }
    Ok(fields)
}

fn position(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).position(|w| w == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_sorted_by_what_they_are() {
        let uri: Uri = "/?query=SELECT%20%7Bx%3AUInt8%7D&param_x=1&database=d&max_threads=2&session_id=s&compress=1"
            .parse()
            .expect("uri");
        let request =
            Request::new(&Method::POST, &HeaderMap::new(), parameters(&uri).expect("pairs")).expect("request");
        assert_eq!(request.query, "SELECT {x:UInt8}");
        assert_eq!(request.params, [("x".to_owned(), "1".to_owned())]);
        assert_eq!(request.settings, [("max_threads".to_owned(), "2".to_owned())]);
        assert_eq!(request.database.as_deref(), Some("d"));
        assert!(request.blocks_out && !request.blocks_in && !request.read_only);
    }

    #[test]
    fn a_form_gives_its_fields_and_refuses_files() {
        let body = b"--B\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT {x:String}\r\n--B\r\ncontent-disposition: form-data; name=\"param_x\"\r\nContent-Type: text/plain\r\n\r\na\r\nb\r\n--B--\r\n";
        let fields = form_fields(body, "B").expect("fields");
        assert_eq!(
            fields,
            [("query".to_owned(), "SELECT {x:String}".to_owned()), ("param_x".to_owned(), "a\r\nb".to_owned())]
        );
        let file = b"--B\r\nContent-Disposition: form-data; name=\"t\"; filename=\"t\"\r\n\r\n1\r\n--B--";
        assert_eq!(form_fields(file, "B").expect_err("file").code, 48);
        for cut in [&body[..40], b"", b"--C\r\n", &body[..body.len() - 8]] {
            assert!(form_fields(cut, "B").is_err());
        }
    }

    #[test]
    fn the_boundary_is_found_only_in_forms() {
        let of = |kind: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", kind.parse().expect("value"));
            form_boundary(&headers)
        };
        assert_eq!(of("multipart/form-data; boundary=\"abc\"").as_deref(), Some("abc"));
        assert_eq!(of("application/x-www-form-urlencoded"), None);
        assert_eq!(of("text/plain"), None);
    }
}
