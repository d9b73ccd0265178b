//! A list that grows by pages: what is there never moves, so a long list has no moment in which it is
//! copied, and no peak of twice its memory.

/// Elements of one page.
pub const PAGE_LENGTH: usize = 1024;

/// Elements in order of their numbers.
pub struct Pages<T> {
    pages: Vec<Vec<T>>,
    length: usize,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), length: 0 }
    }
}

impl<T> Pages<T> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Memory of the pages.
    pub fn bytes(&self) -> usize {
        self.pages.len() * PAGE_LENGTH * size_of::<T>()
    }

    /// Appends an element.
    pub fn push(&mut self, element: T) {
        let page = self.length / PAGE_LENGTH;
        if page == self.pages.len() {
            self.pages.push(Vec::with_capacity(PAGE_LENGTH));
        }
        self.pages[page].push(element);
        self.length += 1;
    }

    /// The element with this number, if it is there.
    pub fn get(&self, number: u32) -> Option<&T> {
        self.pages.get(number as usize / PAGE_LENGTH)?.get(number as usize % PAGE_LENGTH)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.pages.get_mut(number as usize / PAGE_LENGTH)?.get_mut(number as usize % PAGE_LENGTH)
    }

    /// Forgets all elements, and gives all pages back but the first.
    pub fn clear(&mut self) {
        self.pages.truncate(1);
        self.pages.iter_mut().for_each(Vec::clear);
        self.length = 0;
    }
}
