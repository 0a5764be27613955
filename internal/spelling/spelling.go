// Package spelling finds the name that somebody meant who misspelt it.
package spelling

// Nearest returns the first of the names that differs least from name, if that is by no more than most letters
// and not by all of its own; else "".
func Nearest(name string, names []string, most int) string {
	best, least := "", most+1
	for _, n := range names {
		if d := Distance(name, n); d < least && d < len(n) {
			best, least = n, d
		}
	}
	return best
}

// Distance is how many bytes have to be put in, taken out or changed to make b of a (Levenshtein's).
func Distance(a, b string) int {
	row := make([]int, len(b)+1) // of the matrix, whose last one is the answer's
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
