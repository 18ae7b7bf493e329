import Glibc
import NemoOperator

exit(OperatorProgram.main(arguments: Array(CommandLine.arguments.dropFirst())))
