//! Things by numbers that are used again.

/// See the module.
#[derive(Debug)]
pub(super) struct Slab<T> {
    each: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { each: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub fn insert(&mut self, thing: T) -> u32 {
        if let Some(free) = self.free.pop()
            && let Some(place) = self.each.get_mut(free as usize)
        {
            *place = Some(thing);
            return free;
        }
        // Memory ends long before four thousand million of anything here.
        let at = u32::try_from(self.each.len()).unwrap_or(u32::MAX);
        self.each.push(Some(thing));
        at
    }

    pub fn get(&self, at: u32) -> Option<&T> {
        self.each.get(at as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.each.get_mut(at as usize)?.as_mut()
    }

    pub fn remove(&mut self, at: u32) -> Option<T> {
        let thing = self.each.get_mut(at as usize)?.take()?;
        self.free.push(at);
        Some(thing)
    }
}
