//go:build unix

package metrics

import (
	"syscall"
	"testing"
	"time"
)

// The budget is 50 ms for 1000 shops.
func BenchmarkScrapeOf1000Shops(b *testing.B) {
	reg := manyShops(1000)
	for name, accept := range formats {
		b.Run(name, func(b *testing.B) {
			scrape := scraper(reg, accept)
			b.ReportAllocs()
			before := cpuTime()
			for b.Loop() {
				scrape()
			}
			b.ReportMetric((cpuTime()-before).Seconds()*1000/float64(b.N), "cpu-ms/op") // whatever else the machine does
		})
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
