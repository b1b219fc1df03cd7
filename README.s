	.file	"README.md"
