// Runs before the first paint, so that a chosen theme does not flash. Absent or unreadable: the system's.
try {
	var chosen = localStorage.getItem('headwater.theme');
	if (chosen === 'dark' || chosen === 'light') document.documentElement.dataset.theme = chosen;
} catch {}
