//! Reads TOML strictly: every key is known, every value has its type, every fault has a place.

mod fault;
mod words;

use std::ops::Range;

use toml_edit::{Array, Document, Item, TableLike, Value};

pub use fault::{BadFile, Fault, MAX_MESSAGE_CHARS};
pub use words::{Words, choice, nearest, not_yet, quoted};

/// Characters of a key that a message repeats.
const MAX_KEY_CHARS: usize = 40;

/// One table of a document.
#[derive(Clone)]
pub struct Section<'a> {
    path: String,
    place: Range<usize>,
    table: &'a dyn TableLike,
}

/// One value with its key.
#[derive(Clone)]
pub struct Entry<'a> {
    /// Its own key, the last part of the path.
    pub name: String,
    path: String,
    place: Range<usize>,
    value: Raw<'a>,
}

#[derive(Clone, Copy)]
enum Raw<'a> {
    Item(&'a Item),
    Value(&'a Value),
    Table(&'a toml_edit::Table),
}

/// Turns bytes into text and text into a document, and hands its top table to `use_it`.
///
/// # Errors
/// Not UTF-8, larger than `limit` bytes, no TOML, or what `use_it` finds.
pub fn parse<T>(
    file: &str,
    bytes: &[u8],
    limit: usize,
    use_it: impl FnOnce(Section<'_>) -> Result<T, Fault>,
) -> Result<T, BadFile> {
    if bytes.len() > limit {
        let text =
            format!("the file has {} bytes; at most {limit} bytes ({} KiB) are allowed", bytes.len(), limit / 1024);
        return Err(Fault::new("", text).locate(file, ""));
    }
    let source = std::str::from_utf8(bytes).map_err(|bad| {
        let valid = String::from_utf8_lossy(&bytes[..bad.valid_up_to()]);
        let text = format!("not UTF-8 at byte {}; the file must be UTF-8 text", bad.valid_up_to());
        BadFile { excerpt: None, ..Fault::new("", text).at(valid.len()..valid.len()).locate(file, &valid) }
    })?;
    let document = Document::parse(source).map_err(|bad| {
        let text = format!("not valid TOML: {}", bad.message());
        Fault::new("", text).at(bad.span().unwrap_or(0..0)).locate(file, source)
    })?;
    let top = Section { path: String::new(), place: 0..0, table: document.as_table() };
    use_it(top).map_err(|fault| fault.locate(file, source))
}

impl<'a> Section<'a> {
    /// Every key is known.
    ///
    /// # Errors
    /// The first key that is not, with the nearest word.
    pub fn expect(&self, words: Words) -> Result<(), Fault> {
        for entry in self.entries() {
            if let Some(text) = words.refuse(&entry.name) {
                return Err(Fault::new(entry.path, text).at(entry.place));
            }
        }
        Ok(())
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Entry<'a>> {
        let (found, item) = self.table.get_key_value(key)?;
        (!item.is_none()).then(|| self.entry(found.get(), found.span(), item))
    }

    /// What `read` makes of the value of a key; `None` when the key is not there.
    ///
    /// # Errors
    /// What `read` finds.
    pub fn read<T>(&self, key: &str, read: impl FnOnce(&Entry<'a>) -> Result<T, Fault>) -> Result<Option<T>, Fault> {
        self.get(key).as_ref().map(read).transpose()
    }

    /// All values with their keys, in the order of the file.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry<'a>> {
        let keys = self.table.iter().map(|(key, _)| key.to_owned()).collect::<Vec<_>>();
        keys.iter().filter_map(|key| self.get(key)).collect()
    }

    /// A fault of the table as a whole.
    #[must_use]
    pub fn fault(&self, text: impl Into<String>) -> Fault {
        Fault::new(self.path.clone(), text).at(self.place.clone())
    }

    /// A fault of something in the table, whose key counts from here, at the nearest value that there is.
    #[must_use]
    pub fn fault_below(&self, below: &Fault) -> Fault {
        let mut place = self.place.clone();
        let mut section = Some(self.clone());
        for part in below.key.split(['.', '[']) {
            let Some(entry) = section.as_ref().and_then(|section| section.get(part)) else { break };
            place = entry.place.clone();
            section = entry.as_section();
        }
        let key = if below.key.is_empty() { self.path.clone() } else { format!("{}.{}", self.path, below.key) };
        Fault::new(key, below.text.clone()).at(place)
    }

    fn entry(&self, key: &str, place: Option<Range<usize>>, item: &'a Item) -> Entry<'a> {
        let place = place.or_else(|| item.span()).unwrap_or_else(|| self.place.clone());
        Entry { name: key.to_owned(), path: join(&self.path, key), place, value: Raw::Item(item) }
    }
}

impl<'a> Entry<'a> {
    /// A fault of this value.
    #[must_use]
    pub fn fault(&self, text: impl Into<String>) -> Fault {
        let place = self.value.span().filter(|_| !self.value.is_table()).unwrap_or_else(|| self.place.clone());
        Fault::new(self.path.clone(), text).at(place)
    }

    /// A fault of its key.
    #[must_use]
    pub fn key_fault(&self, text: impl Into<String>) -> Fault {
        Fault::new(self.path.clone(), text).at(self.place.clone())
    }

    /// What `check` makes of the text.
    ///
    /// # Errors
    /// Not a string, or what `check` says.
    pub fn text<T>(&self, check: impl FnOnce(&str) -> Result<T, String>) -> Result<T, Fault> {
        check(self.string()?).map_err(|text| self.fault(text))
    }

    /// The string.
    ///
    /// # Errors
    /// Not a string.
    pub fn string(&self) -> Result<&'a str, Fault> {
        self.as_string().ok_or_else(|| self.wrong("a string"))
    }

    /// The string, when it is one.
    #[must_use]
    pub fn as_string(&self) -> Option<&'a str> {
        match self.value {
            Raw::Item(item) => item.as_str(),
            Raw::Value(value) => value.as_str(),
            Raw::Table(_) => None,
        }
    }

    /// A whole number within bounds.
    ///
    /// # Errors
    /// Not a whole number, or out of bounds.
    pub fn integer(&self, low: i64, high: i64) -> Result<i64, Fault> {
        let number = match self.value {
            Raw::Item(item) => item.as_integer(),
            Raw::Value(value) => value.as_integer(),
            Raw::Table(_) => None,
        };
        let number = number.ok_or_else(|| self.wrong(&format!("a whole number from {low} to {high}")))?;
        if (low..=high).contains(&number) {
            return Ok(number);
        }
        Err(self.fault(format!("{number} is out of range; allowed is {low} to {high}")))
    }

    /// The number, whole or not, when it is one.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        let value = match self.value {
            Raw::Item(item) => item.as_value()?,
            Raw::Value(value) => value,
            Raw::Table(_) => return None,
        };
        #[expect(clippy::cast_precision_loss, reason = "numbers of that size are refused by every caller")]
        value.as_float().or_else(|| value.as_integer().map(|number| number as f64))
    }

    /// True or false.
    ///
    /// # Errors
    /// Neither.
    pub fn boolean(&self) -> Result<bool, Fault> {
        let value = match self.value {
            Raw::Item(item) => item.as_bool(),
            Raw::Value(value) => value.as_bool(),
            Raw::Table(_) => None,
        };
        value.ok_or_else(|| self.wrong("true or false"))
    }

    /// A table, in whichever form it is written.
    ///
    /// # Errors
    /// Not a table.
    pub fn section(&self) -> Result<Section<'a>, Fault> {
        self.as_section().ok_or_else(|| self.wrong("a table"))
    }

    /// The table, when it is one.
    #[must_use]
    pub fn as_section(&self) -> Option<Section<'a>> {
        let table = match self.value {
            Raw::Item(item) => item.as_table_like()?,
            Raw::Value(value) => value.as_inline_table()? as &dyn TableLike,
            Raw::Table(table) => table,
        };
        Some(Section { path: self.path.clone(), place: self.place.clone(), table })
    }

    /// The elements of an array, of either form; a value that is none counts as one element.
    ///
    /// # Errors
    /// More than `limit`.
    pub fn one_or_more(&self, limit: usize) -> Result<Vec<Entry<'a>>, Fault> {
        if self.is_array() { self.elements(limit) } else { Ok(vec![self.clone()]) }
    }

    /// The elements of an array, of either form.
    ///
    /// # Errors
    /// Not an array, or more than `limit` elements.
    pub fn elements(&self, limit: usize) -> Result<Vec<Entry<'a>>, Fault> {
        let elements: Vec<Raw<'a>> = match (self.value, self.array()) {
            (_, Some(array)) => array.iter().map(Raw::Value).collect(),
            (Raw::Item(Item::ArrayOfTables(_)), None) => return self.tables(limit),
            _ => return Err(self.wrong("an array")),
        };
        self.bounded(elements.len(), limit)?;
        Ok(elements.into_iter().enumerate().map(|(index, value)| self.element(index, value)).collect())
    }

    /// The elements of an array, or the tables of an array of tables.
    ///
    /// # Errors
    /// Not an array, or more than `limit` elements.
    pub fn values(&self, limit: usize) -> Result<Vec<Entry<'a>>, Fault> {
        let Raw::Item(Item::ArrayOfTables(tables)) = self.value else { return self.elements(limit) };
        self.bounded(tables.len(), limit)?;
        Ok(tables.iter().enumerate().map(|(index, table)| self.element(index, Raw::Table(table))).collect())
    }

    /// The tables of an array of tables, or of an array of inline tables.
    ///
    /// # Errors
    /// Not an array, an element that is no table, or more than `limit`.
    pub fn sections(&self, limit: usize) -> Result<Vec<Section<'a>>, Fault> {
        match self.value {
            Raw::Item(Item::ArrayOfTables(tables)) => {
                self.bounded(tables.len(), limit)?;
                let section = |(index, table): (usize, &'a toml_edit::Table)| Section {
                    path: format!("{}[{index}]", self.path),
                    place: table.span().unwrap_or_else(|| self.place.clone()),
                    table,
                };
                Ok(tables.iter().enumerate().map(section).collect())
            }
            _ => self.elements(limit)?.iter().map(Entry::section).collect(),
        }
    }

    /// What is expected instead of what is there.
    #[must_use]
    pub fn wrong(&self, expected: &str) -> Fault {
        self.fault(format!("expected {expected}, found {}", self.value.kind()))
    }

    /// Whether it is an array, of either form.
    #[must_use]
    pub fn is_array(&self) -> bool {
        self.array().is_some() || matches!(self.value, Raw::Item(Item::ArrayOfTables(_)))
    }

    /// What kind of value it is, for people.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.value.kind()
    }

    fn tables(&self, limit: usize) -> Result<Vec<Entry<'a>>, Fault> {
        let found = self.sections(limit)?;
        Err(found
            .first()
            .map_or_else(|| self.wrong("an array"), |section| section.fault("expected a string, found a table")))
    }

    fn array(&self) -> Option<&'a Array> {
        match self.value {
            Raw::Item(item) => item.as_array(),
            Raw::Value(value) => value.as_array(),
            Raw::Table(_) => None,
        }
    }

    fn bounded(&self, count: usize, limit: usize) -> Result<(), Fault> {
        if count <= limit { Ok(()) } else { Err(self.fault(format!("{count} elements; at most {limit} are allowed"))) }
    }

    fn element(&self, index: usize, value: Raw<'a>) -> Entry<'a> {
        let place = value.span().unwrap_or_else(|| self.place.clone());
        Entry { name: self.name.clone(), path: format!("{}[{index}]", self.path), place, value }
    }
}

impl Raw<'_> {
    fn span(&self) -> Option<Range<usize>> {
        match self {
            Self::Item(item) => item.span(),
            Self::Value(value) => value.span(),
            Self::Table(table) => table.span(),
        }
    }

    fn is_table(&self) -> bool {
        matches!(self, Self::Item(Item::Table(_) | Item::ArrayOfTables(_)) | Self::Table(_))
    }

    fn kind(&self) -> &'static str {
        let name = match self {
            Self::Item(item) => item.type_name(),
            Self::Value(value) => value.type_name(),
            Self::Table(_) => "table",
        };
        match name {
            "string" => "a string",
            "integer" => "a whole number",
            "float" => "a number with a point",
            "boolean" => "true or false",
            "datetime" => "a date or time",
            "array" | "array of tables" => "an array",
            "inline table" | "table" => "a table",
            _ => "nothing",
        }
    }
}

/// A dotted path; a key that is not a plain word is quoted and cut.
fn join(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let shown = if plain && key.len() <= MAX_KEY_CHARS { key.to_owned() } else { quoted(key) };
    if path.is_empty() { shown } else { format!("{path}.{shown}") }
}
