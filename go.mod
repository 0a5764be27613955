module evergate

go 1.26.0
